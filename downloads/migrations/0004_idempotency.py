from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0003_webhooks'),
    ]

    operations = [
    ]
