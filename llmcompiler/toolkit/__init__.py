"""Tools: functions the model may call, their schemas, and registries of them."""
