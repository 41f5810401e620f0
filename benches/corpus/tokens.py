"""Secrets of providers, made by the formats that the providers themselves document, and secrets that only a name tells.

Each row: what ours calls it, what programs call it, the form in a picture (``{a40}`` are 40 letters and digits, ``{h32}`` hexadecimal
digits, ``{u16}`` capitals and digits, ``{l20}`` small letters and digits, ``{b43}`` base64url, ``{B88}`` base64, ``{d10}`` digits). Checksums are
computed where the provider publishes how (GitHub, npm). Everything is random: no such secret was ever issued.
"""

from __future__ import annotations

import base64
import json
import re
import string
import uuid
import zlib

from faker import Faker

from .people import Dice, Kind, Make

ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "b": string.ascii_letters + string.digits + "-_",
    "B": string.ascii_letters + string.digits + "+/",
    "d": string.digits,
    "h": "0123456789abcdef",
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "t": string.ascii_uppercase + "234567",
}


def picture(*forms: str) -> Make:
    """Makes one of the forms."""

    def make(dice: Dice, _: Faker) -> str:
        return _drawn(dice.choice(forms), dice)

    return make


def _drawn(form: str, dice: Dice) -> str:
    def piece(match: re.Match[str]) -> str:
        if match[1] == "uuid":
            return str(uuid.UUID(int=dice.getrandbits(128), version=4))
        return "".join(dice.choices(ALPHABETS[match[1][0]], k=int(match[1][1:])))

    return re.sub(r"\{(\w+)\}", piece, form)


def _checked(prefix: str) -> Make:
    """GitHub's way, which npm took over: thirty random characters, and their CRC-32 in six of Base62."""
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase

    def make(dice: Dice, _: Faker) -> str:
        body = "".join(dice.choices(ALPHABETS["a"], k=30))
        number, checksum = zlib.crc32(body.encode()), ""
        for _ in range(6):
            number, rest = divmod(number, 62)
            checksum = alphabet[rest] + checksum
        return prefix + body + checksum

    return make


def _jwt(dice: Dice, fake: Faker) -> str:
    """RFC 7519, signed by HS256 or RS256."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    algorithm, length = dice.choice((("HS256", 32), ("RS256", 256), ("ES256", 64)))
    head = {"alg": algorithm, "typ": "JWT"}
    claims = {"sub": fake.user_name(), "iat": 1_700_000_000 + dice.randrange(10**7), "scope": "read write"}
    return (
        ".".join(part(json.dumps(value, separators=(",", ":")).encode()) for value in (head, claims))
        + "."
        + part(dice.randbytes(length))
    )


def _private_key(dice: Dice, _: Faker) -> str:
    """RFC 7468: random bytes where a key would be."""
    label = dice.choice(
        ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    )
    body = base64.b64encode(dice.randbytes(dice.choice((121, 600, 1190)))).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"))


def _password(dice: Dice, fake: Faker) -> str:
    """What people and generators choose."""
    length = dice.choice((10, 12, 16, 20))
    return dice.choice(
        (
            fake.password(length=length),
            fake.password(length=length, special_chars=False),
            f"{fake.word()}-{fake.word()}-{dice.randrange(10, 99)}",
        )
    )


def _pypi(dice: Dice, _: Faker) -> str:
    """A macaroon in base64url (PyPI's help, "API tokens")."""
    # All begin alike: a version, and where the token is of.
    return "pypi-AgEIcHlwaS5vcmcC" + base64.urlsafe_b64encode(dice.randbytes(120)).rstrip(b"=").decode()


def _discord(dice: Dice, _: Faker) -> str:
    """The bot's number (a snowflake) in base64, a time, an HMAC (Discord's reference, "Authentication")."""
    number = str(dice.randrange(10**17, 14 * 10**17))
    return ".".join(
        (
            base64.b64encode(number.encode()).decode().rstrip("="),
            _drawn("{b6}", dice),
            _drawn(dice.choice(("{b27}", "{b38}")), dice),
        )
    )


def _basic(dice: Dice, fake: Faker) -> str:
    return base64.b64encode(f"{fake.user_name()}:{_password(dice, fake)}".encode()).decode()


#: Of these the value alone is enough, whatever stands before it.
TOKENS: tuple[Kind, ...] = tuple(
    Kind(entity, labels, make, True)
    for entity, labels, make in (
        ("AWS_ACCESS_KEY", ("AWS_ACCESS_KEY_ID", "aws access key"), picture("AKIA{t16}", "ASIA{t16}")),
        ("GITHUB_TOKEN", ("GITHUB_TOKEN", "gh auth"), _checked("ghp_")),
        ("GITHUB_TOKEN", ("GH_TOKEN", "checkout"), picture("github_pat_{a22}_{a59}")),
        ("GITLAB_TOKEN", ("GITLAB_TOKEN", "gitlab"), picture("glpat-{b20}", "gldt-{b20}", "glrt-{b20}")),
        ("SLACK_TOKEN", ("SLACK_BOT_TOKEN", "slack"), picture("xoxb-{d12}-{d13}-{a24}", "xoxp-{d12}-{d12}-{d13}-{h32}")),
        ("SLACK_WEBHOOK", ("SLACK_WEBHOOK_URL", "notify"), picture("https://hooks.slack.com/services/T{u8}/B{u10}/{a24}")),
        ("STRIPE_KEY", ("STRIPE_SECRET_KEY", "stripe"), picture("sk_live_{a24}", "rk_live_{a24}", "sk_live_51{a97}")),
        ("OPENAI_KEY", ("OPENAI_API_KEY", "openai"), picture("sk-{a20}T3BlbkFJ{a20}", "sk-proj-{b74}T3BlbkFJ{b74}")),
        ("ANTHROPIC_KEY", ("ANTHROPIC_API_KEY", "claude"), picture("sk-ant-api03-{b93}AA")),
        ("HUGGINGFACE_TOKEN", ("HF_TOKEN", "huggingface login"), picture("hf_" + "{a34}")),
        ("GOOGLE_API_KEY", ("GOOGLE_API_KEY", "maps"), picture("AIza{b35}")),
        ("GOOGLE_OAUTH_TOKEN", ("GOOGLE_CLIENT_SECRET", "oauth client"), picture("GOCSPX-{b28}")),
        ("NPM_TOKEN", ("NPM_TOKEN", "//packages.example/:_authToken"), _checked("npm_")),
        ("PYPI_TOKEN", ("TWINE_PASSWORD", "upload to pypi"), _pypi),
        ("SENDGRID_KEY", ("SENDGRID_API_KEY", "sendgrid"), picture("SG.{b22}.{b43}")),
        ("MAILCHIMP_KEY", ("MAILCHIMP_API_KEY", "mailchimp"), picture("{h32}-us12", "{h32}-us6")),
        ("MAILGUN_KEY", ("MAILGUN_API_KEY", "mailgun"), picture("key-{h32}")),
        ("TWILIO_KEY", ("TWILIO_API_KEY", "twilio"), picture("SK{h32}")),
        ("TELEGRAM_TOKEN", ("TELEGRAM_BOT_TOKEN", "telegram bot"), picture("{d10}:AA{b33}")),
        ("SQUARE_KEY", ("SQUARE_ACCESS_TOKEN", "square"), picture("sq0atp-{b22}", "sq0csp-{b43}")),
        ("SHOPIFY_TOKEN", ("SHOPIFY_ADMIN_TOKEN", "shopify"), picture("shpat_{h32}", "shpss_{h32}")),
        ("DIGITALOCEAN_TOKEN", ("DIGITALOCEAN_TOKEN", "doctl auth"), picture("dop_v1_{h64}", "doo_v1_{h64}")),
        ("DATABRICKS_TOKEN", ("DATABRICKS_TOKEN", "databricks"), picture("dapi{h32}", "dapi{h32}-2")),
        ("DOPPLER_TOKEN", ("DOPPLER_TOKEN", "doppler"), picture("dp.pt.{a43}")),
        ("DOCKER_TOKEN", ("DOCKERHUB_TOKEN", "docker login"), picture("dckr_pat_{b27}")),
        ("GRAFANA_TOKEN", ("GRAFANA_TOKEN", "grafana"), picture("glsa_{a32}_{h8}")),
        ("LINEAR_KEY", ("LINEAR_API_KEY", "linear"), picture("lin_api_{a40}")),
        ("NOTION_TOKEN", ("NOTION_TOKEN", "notion"), picture("ntn_{d11}{a35}", "secret_{a43}")),
        ("POSTMAN_KEY", ("POSTMAN_API_KEY", "newman"), picture("PMAK-{h24}-{h34}")),
        ("PULUMI_TOKEN", ("PULUMI_ACCESS_TOKEN", "pulumi"), picture("pul-{h40}")),
        ("TERRAFORM_TOKEN", ("TF_TOKEN_app_terraform_io", "terraform login"), picture("{a14}.atlasv1.{a67}")),
        ("VAULT_TOKEN", ("VAULT_TOKEN", "vault login"), picture("hvs.{b95}")),
        ("NEWRELIC_KEY", ("NEW_RELIC_API_KEY", "newrelic"), picture("NRAK-{u27}")),
        ("SUPABASE_TOKEN", ("SUPABASE_ACCESS_TOKEN", "supabase"), picture("sbp_{h40}")),
        ("PLANETSCALE_TOKEN", ("PLANETSCALE_SERVICE_TOKEN", "pscale"), picture("pscale_tkn_{b43}")),
        ("TAILSCALE_KEY", ("TS_AUTHKEY", "tailscale up"), picture("tskey-auth-{a11}CNTRL-{a32}")),
        ("RUBYGEMS_TOKEN", ("GEM_HOST_API_KEY", "gem push"), picture("rubygems_{h48}")),
        ("DISCORD_TOKEN", ("DISCORD_TOKEN", "discord bot"), _discord),
        ("DISCORD_WEBHOOK", ("DISCORD_WEBHOOK", "post to"), picture("https://discord.com/api/webhooks/{d19}/{b68}")),
        ("AZURE_KEY", ("AZURE_STORAGE_CONNECTION_STRING", "blob store"), picture("AccountKey={B86}==")),
        ("GROQ_KEY", ("GROQ_API_KEY", "groq"), picture("gsk_{a52}")),
        ("REPLICATE_TOKEN", ("REPLICATE_API_TOKEN", "replicate"), picture("r8_{a37}")),
        ("SENTRY_TOKEN", ("SENTRY_AUTH_TOKEN", "sentry-cli"), picture("sntryu_{h64}")),
        ("ATLASSIAN_TOKEN", ("JIRA_API_TOKEN", "jira"), picture("ATATT3xFfGF0{b180}={u8}")),
        ("FIGMA_TOKEN", ("FIGMA_TOKEN", "figma"), picture("figd_{b40}")),
        ("JWT", ("id_token", "session", "jwt"), _jwt),
        ("PRIVATE_KEY", ("TLS_KEY", "signing key", "deploy key"), _private_key),
    )
)  # fmt: skip

NAMES = (
    "password", "DB_PASSWORD", "passwd", "smtp_password", "client_secret", "api_key", "secret_key", "auth_token",
    "aws_secret_access_key", "dbPassword", "X-Api-Key", "apiSecret", "access_token", "private_token", "REDIS_PASSWORD",
)  # fmt: skip

#: Of these the name, the scheme or the place in a URL is what tells.
NAMED: tuple[Kind, ...] = (
    Kind("named secret", NAMES, picture("{a24}", "{a40}", "{h32}", "{b32}", "{B40}")),
    Kind("password by name", NAMES[:4], _password),
    Kind("bearer token", ("Authorization: Bearer", "authorization: Bearer"), picture("{b40}", "{h40}", "{a32}")),
    Kind("basic credentials", ("Authorization: Basic", "authorization: Basic"), _basic),
    Kind("password in a URL", ("postgres://app:", "redis://default:", "amqp://worker:", "https://deploy:"), picture("{a12}", "{a20}", "{l16}")),
)  # fmt: skip
