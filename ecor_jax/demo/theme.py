"""Colours and fonts of the page."""

from typing import Any


def theme() -> Any:
    """Returns the theme, whose fonts are the system's and whose colours are those of the explanations' pages."""
    from gradio.themes import Default

    fonts = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif")
    made = Default(primary_hue="indigo", neutral_hue="slate", font=fonts, font_mono=("ui-monospace", "monospace"))
    return made.set(
        **{
            f"{name}{mode}": value
            for name, pair in _COLOURS.items()
            for mode, value in zip(("", "_dark"), pair, strict=True)
        }
    )


_COLOURS = {
    "body_background_fill": ("#f5f4f0", "#0f1218"),
    "body_text_color": ("#171b26", "#eceff5"),
    "body_text_color_subdued": ("#565e6e", "#a9b3c3"),
    "block_background_fill": ("#ffffff", "#181d27"),
    "block_border_color": ("#dcdee3", "#333c4c"),
    "block_info_text_color": ("#565e6e", "#a9b3c3"),
    "border_color_primary": ("#dcdee3", "#333c4c"),
    "input_background_fill": ("#ffffff", "#181d27"),
    "button_primary_background_fill": ("#4338ca", "#a5b4fc"),
    "button_primary_background_fill_hover": ("#372fa8", "#c7d2fe"),
    "button_primary_text_color": ("#ffffff", "#0f1218"),
}
"""Colours in the light and in the dark, as in pages/style.css."""
