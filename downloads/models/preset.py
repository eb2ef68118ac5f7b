"""Named sets of wishes, so that nobody has to say them each time."""

from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from downloads.engine.formats import PostProcessing, Quality

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$"


class PresetManager(models.Manager["Preset"]):
    """Finds them."""

    def default(self) -> "Preset | None":
        """The one that holds where none is named, if there is such a one."""
        return self.filter(is_default=True).first()


class Preset(models.Model):
    """A quality, a post-processing and finer wishes under a name. What a task says itself goes before them."""

    name = models.CharField(
        _("name"),
        max_length=50,
        unique=True,
        validators=[
            RegexValidator(NAME, _("A name has letters, digits, - and _ in it, and begins with a letter or a digit."))
        ],
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    quality = models.CharField(_("quality"), max_length=8, default=Quality.BEST)
    post_processing = models.CharField(_("post-processing"), max_length=8, default=PostProcessing.NONE)
    choices = models.JSONField(_("finer wishes"), default=dict, blank=True)
    is_default = models.BooleanField(
        _("default"), default=False, help_text=_("holds wherever no preset is named; there is one at most")
    )

    objects = PresetManager()

    class Meta:
        verbose_name = _("preset")
        verbose_name_plural = _("presets")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(name="preset_one_default", fields=["is_default"], condition=Q(is_default=True)),
        ]

    def __str__(self) -> str:
        return self.name

    def store(self) -> None:
        """Save it; when it is the default, no other is any more.

        Raises:
            IntegrityError: another has its name.
        """
        with transaction.atomic():
            if self.is_default:
                Preset.objects.exclude(pk=self.pk).filter(is_default=True).update(is_default=False)
            self.save()
