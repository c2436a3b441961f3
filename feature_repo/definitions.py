"""What `feast apply` registers: the only file that it imports, so that no object is registered twice."""

from feature_repo.entities import ITEM, USER
from feature_repo.store_config import definitions

_declared = definitions()

user = USER
item = ITEM
user_features = _declared.users
item_features = _declared.items
user_state = _declared.user_state
item_state = _declared.item_state
