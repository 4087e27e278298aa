"""Every class of failure that Clopus sees by itself, made to happen on a cluster."""

from rig.provocations.compound import COMPOUND
from rig.provocations.model import Place, Provocation
from rig.provocations.nodes import NODES
from rig.provocations.objects import OTHERS
from rig.provocations.pods import PODS
from rig.provocations.refusals import REFUSED

ALL: tuple[Provocation, ...] = (*PODS, *REFUSED, *OTHERS, *NODES, *COMPOUND)

__all__ = ["ALL", "Place", "Provocation"]
