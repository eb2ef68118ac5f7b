import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0003_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='AnsweredRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('caller', models.CharField(blank=True, max_length=64)),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(max_length=64)),
                ('answer', models.TextField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
            ],
            options={
                'verbose_name': 'answered request',
                'verbose_name_plural': 'answered requests',
                'constraints': [models.UniqueConstraint(fields=('caller', 'key'), name='answered_once')],
            },
        ),
    ]
