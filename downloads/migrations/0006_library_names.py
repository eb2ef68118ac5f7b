from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0005_wishes_presets_playlists'),
    ]

    operations = [
        migrations.AddField(
            model_name='task',
            name='side_files',
            field=models.JSONField(blank=True, default=list, verbose_name='files beside it'),
        ),
        migrations.AddField(
            model_name='task',
            name='upload_date',
            field=models.DateField(null=True, verbose_name='uploaded'),
        ),
        migrations.AlterField(
            model_name='task',
            name='file_name',
            field=models.CharField(blank=True, help_text='relative to the library', max_length=2000, verbose_name='file'),
        ),
    ]
