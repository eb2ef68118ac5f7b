from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0002_api_keys'),
    ]

    operations = [
    ]
