# 提取视频信息
curl -X POST "http://localhost:8000/api/downloads/extract" \
-H "Content-Type: application/json" \
-d '{
"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
"quality": "best",
"post_processing": "none",
"cookies": ""
}'
# 创建下载任务
curl -X POST "http://localhost:8000/api/downloads/add" \
-H "Content-Type: application/json" \
-d '{
"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
"quality": "720p",
"post_processing": "mp4"
}'
# 启动下载
curl -X POST "http://localhost:8000/api/downloads/start/abc123def456"
# 获取任务状态
curl "http://localhost:8000/api/downloads/tasks/abc123def456"
# 获取所有任务
curl "http://localhost:8000/api/downloads/tasks?limit=10&status=completed"
