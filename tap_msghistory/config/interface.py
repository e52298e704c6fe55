"""The settings of the interfaces other than Singer: those of the tap that have an effect there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase as fnmatch
from typing import Any

from tap_msghistory.config import validation
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.errors import TapError

_OFF: tuple[Any, ...] = (None, "", False, {}, [])


class InterfaceSettings:
    """The settings of one interface.

    Those without an effect are refused: a config may rely on a stream map to hash addresses.
    """

    def __init__(
        self,
        interface: str,
        *,
        suggestions: Collection[str] = (),
        maps: str,
        objects: str,
        **replacements: str,
    ) -> None:
        """Declare what to use instead of settings without effect.

        `maps` replaces stream maps, `objects` replaces flattening and objects_as_json, and `replacements` are
        keyed by other settings. `suggestions` are other names that the user may have meant.
        """
        self._interface, self._suggestions = interface, suggestions
        self._replacements = {
            **dict.fromkeys(("stream_map*", "faker_config"), maps),
            **dict.fromkeys(("flattening_*", "objects_as_json"), objects),
            "batch_config": "There are no Singer messages",
            **replacements,
        }
        #: The JSON Schemas of the settings with an effect, by name.
        self.properties: dict[str, Any] = {
            name: declaration
            for name, declaration in SETTINGS["properties"].items()
            if self._replacement(name) is None
        }
        self._schema = {**SETTINGS, "properties": self.properties}

    def check_names(self, config: Mapping[str, Any], *, allow_unknown: bool = False) -> None:
        """Raise `TapError` if a setting that is not off has no effect or, by default, is unknown."""
        for name, value in config.items():
            if replacement := self._replacement(name):
                if value not in _OFF:
                    raise TapError(f"Setting {name} has no effect in {self._interface}. {replacement}")
            elif name not in self.properties and not allow_unknown:
                known = [*self.properties, *self._suggestions]
                raise TapError(f"Setting {name} is unknown{validation.hint(name, known)}")

    def _replacement(self, name: str) -> str | None:
        """Return what to use instead of a setting without effect.

        Patterns cover all settings of a feature, and misspelled ones.
        """
        return next((text for pattern, text in self._replacements.items() if fnmatch(name, pattern)), None)

    def resolve(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return a config with defaults. Raises `TapError` with all invalid settings."""
        complete = validation.with_defaults(config, self._schema)
        if errors := validation.errors(complete, self._schema):
            raise TapError("; ".join(errors))
        return complete

    def warnings(self, config: Mapping[str, Any]) -> list[str]:
        """Return one line per valid but suspicious setting."""
        return [*validation.warnings(config, self._schema)]
