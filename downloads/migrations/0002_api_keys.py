import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(editable=False, max_length=12, unique=True, verbose_name='id')),
                ('name', models.CharField(help_text='whose it is, or what for', max_length=100, verbose_name='name')),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('may_read', models.BooleanField(default=True, help_text='look at everything, follow the feed, fetch files', verbose_name='read')),
                ('may_add', models.BooleanField(default=True, help_text='look videos up, add and start downloads', verbose_name='add')),
                ('may_manage', models.BooleanField(default=True, help_text='cancel, pause, delete, and everything else', verbose_name='manage')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='made')),
                ('expires_at', models.DateTimeField(blank=True, help_text='never, if left empty', null=True, verbose_name='expires')),
                ('last_used_at', models.DateTimeField(editable=False, null=True, verbose_name='last used')),
                ('revoked_at', models.DateTimeField(editable=False, null=True, verbose_name='revoked')),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'ordering': ['-created_at', '-pk'],
                'indexes': [models.Index(condition=models.Q(('revoked_at', None)), fields=['id'], name='apikey_configured')],
            },
        ),
        migrations.CreateModel(
            name='FeedTicket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('expires_at', models.DateTimeField(editable=False)),
                ('key', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, to='downloads.apikey')),
                ('user', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'feed ticket',
                'verbose_name_plural': 'feed tickets',
            },
        ),
    ]
