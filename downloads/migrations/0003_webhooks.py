import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.datetime
import downloads.models.webhook
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0002_api_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.CharField(default=downloads.models.webhook.new_endpoint_id, editable=False, max_length=12, primary_key=True, serialize=False)),
                ('url', models.TextField(verbose_name='address')),
                ('events', models.JSONField(default=downloads.models.webhook.all_events, verbose_name='events')),
                ('active', models.BooleanField(default=True, verbose_name='active')),
                ('description', models.CharField(blank=True, max_length=200, verbose_name='description')),
                ('sealed_secret', models.TextField(editable=False)),
                ('disabled_because', models.TextField(blank=True, editable=False, verbose_name='switched off because')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='added')),
            ],
            options={
                'verbose_name': 'webhook',
                'verbose_name_plural': 'webhooks',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.AddField(
            model_name='task',
            name='queued_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.CharField(default=downloads.models.webhook.new_delivery_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('event', models.CharField(max_length=32, verbose_name='event')),
                ('task_id', models.CharField(blank=True, max_length=12, verbose_name='task')),
                ('snapshot', models.JSONField(default=dict, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('delivered', 'Delivered'), ('failed', 'Given up')], default='waiting', editable=False, max_length=12, verbose_name='state')),
                ('claim', models.UUIDField(editable=False, null=True)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='next attempt')),
                ('attempts', models.PositiveSmallIntegerField(default=0, editable=False, verbose_name='attempts')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='happened')),
                ('ended_at', models.DateTimeField(editable=False, null=True, verbose_name='ended')),
                ('last_code', models.PositiveIntegerField(default=0, editable=False, help_text='HTTP status', verbose_name='last answer')),
                ('last_error', models.TextField(blank=True, editable=False, verbose_name='what happened')),
                ('last_answer', models.TextField(blank=True, editable=False, verbose_name='what was answered')),
                ('last_duration', models.FloatField(default=0, editable=False, help_text='seconds', verbose_name='duration')),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='downloads.webhookendpoint', verbose_name='webhook')),
            ],
            options={
                'verbose_name': 'delivery',
                'verbose_name_plural': 'deliveries',
                'indexes': [models.Index(condition=models.Q(('status', 'waiting')), fields=['due_at'], name='delivery_waiting'), models.Index(fields=['endpoint', '-created_at', '-id'], name='delivery_by_endpoint'), models.Index(fields=['created_at'], name='delivery_oldest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['delivered', 'failed', 'waiting'])), name='delivery_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('status', 'waiting')), models.Q(models.Q(('status', 'waiting'), _negated=True), ('ended_at__isnull', False)), _connector='OR'), name='delivery_ended_if_and_only_if_not_waiting')],
            },
        ),
    ]
