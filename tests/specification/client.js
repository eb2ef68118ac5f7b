// 创建下载任务
async function createDownload(url, quality = 'best') {
const response = await fetch('/api/downloads/add', {
method: 'POST',
headers: {
'Content-Type': 'application/json',
},
body: JSON.stringify({
url,
quality,
post_processing: 'none',
cookies: ''
})
});
const result = await response.json();
if (!response.ok) {
throw new Error(result.detail);
}
return result.task_id;
}
// 启动下载
async function startDownload(taskId) {
const response = await fetch(`/api/downloads/start/${taskId}`, {
method: 'POST'
});
if (!response.ok) {
throw new Error('Failed to start download');
}
}
// WebSocket 监听进度
function connectWebSocket() {
const ws = new WebSocket('ws://localhost:8000/api/downloads/ws');
ws.onmessage = (event) => {
const data = JSON.parse(event.data);
switch (data.type) {
case 'initial':
console.log('Initial tasks:', data.tasks);
break;
case 'progress':
console.log(`Task ${data.task_id}: ${data.progress.percentage}%`);
break;
case 'heartbeat':
// 心跳消息
break;
}
};
// 发送心跳
setInterval(() => {
if (ws.readyState === WebSocket.OPEN) {
ws.send(JSON.stringify({ type: 'ping' }));
}
}, 30000);
return ws;
}
