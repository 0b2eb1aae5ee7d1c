"""Keys of a LiteLLM proxy that has no database. What each key is good for is in its name; the refusals are the proxy's own."""

import litellm
from fastapi import Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.auth_checks import can_key_call_model


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    if api_key == "sk-for-tests-only":
        return UserAPIKeyAuth(api_key=api_key)
    if api_key == "sk-without-budget":
        raise litellm.BudgetExceededError(current_cost=11.0, max_budget=10.0)
    if api_key == "sk-of-another-model":
        key = UserAPIKeyAuth(api_key=api_key, models=["another"])
        await can_key_call_model("broken", llm_model_list=None, valid_token=key, llm_router=None)
    if api_key == "sk-one-a-minute":
        return UserAPIKeyAuth(api_key=api_key, rpm_limit=1)
    raise ProxyException(message="Authentication Error, Invalid proxy server token passed.", type="auth_error", param="key", code=401)
