"""Of the many tasks that are in no playlist, the index of playlists knows nothing any more.

SQLite took it for a way to find those, and sorted them all afterwards; as it did with all in one state, which have an
index for every order now.
"""

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0018_orders_and_sums'),
    ]

    operations = [
        migrations.AlterField(
            model_name='task',
            name='playlist',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='items', to='downloads.task'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('playlist__isnull', False)), fields=['playlist'], name='task_of_playlist'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['status', 'id'], name='task_in_state'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(models.F('status'), django.db.models.functions.text.Lower('title'), models.F('id'), name='task_in_state_by_title'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['status', 'file_size', 'id'], name='task_in_state_by_size'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['status', 'finished_at', 'id'], name='task_in_state_by_end'),
        ),
    ]
