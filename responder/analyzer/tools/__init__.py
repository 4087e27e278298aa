"""What a language model may look with while it investigates: read-only, within one incident's reach, redacted, cut."""

from responder.analyzer.tools.look import ToolOptions
from responder.analyzer.tools.scope import Scope
from responder.analyzer.tools.toolbox import Toolbox

__all__ = ["Scope", "ToolOptions", "Toolbox"]
