"""Takes the thebe scripts off every page: the book has no live kernels, and they fail and ask the network."""


def without_thebe(app, pagename, templatename, context, doctree):
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if "thebe" not in str(getattr(script, "filename", script))]
    context["body"] = context.get("body", "")


def setup(app):
    app.connect("html-page-context", without_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
