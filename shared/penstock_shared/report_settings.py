"""The settings of the report."""

from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ReportSettings(BaseModel):
    """In whose time and money a report is written; the ledger keeps UTC and USD."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: str = Field("UTC", description="where days begin, such as Europe/Berlin")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="code of three letters")
    per_usd: Decimal = Field(
        Decimal(1), gt=0, le=10**9, decimal_places=12, description="units of it for one USD"
    )

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{name!r} is no time zone; write a name such as UTC or Asia/Ho_Chi_Minh"
            ) from None
        return name
