"""Takes thebe's scripts off every page: the book has no live kernels, and what they declare twice is an error."""


def without_thebe(app, pagename, templatename, context, doctree):
    context["script_files"] = [script for script in context.get("script_files", []) if not _is_thebe(script)]


def _is_thebe(script) -> bool:
    return "thebe" in f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', {})}".lower()


def setup(app):
    app.connect("html-page-context", without_thebe, priority=900)  # after sphinx and the theme have added theirs
    return {"parallel_read_safe": True, "parallel_write_safe": True}
