"""How the keys and tokens of well-known services look: by the prefixes that their makers gave them to be found by.

Where a maker documents a checksum (GitHub, npm: six base-62 digits of a CRC-32) it is not asked for: a key with a
mistyped character is still nobody else's business. Every quantifier is bounded or possessive, so time is linear.
Sources: the makers' documentation, and the rules of gitleaks and GitHub's secret scanning, read for their facts.
"""

from typing import Final

_W: Final = "[A-Za-z0-9_-]"
_A: Final = "[A-Za-z0-9]"
_H: Final = "[0-9a-f]"
_UUID: Final = f"{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}"

KEY_FORMATS: Final[dict[str, str]] = {
    # clouds
    "aws access key": r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|A3T[A-Z0-9])[A-Z0-9]{16}",
    "aws bedrock": r"ABSK[A-Za-z0-9+/]{60,300}+={0,2}",
    "aws mws": rf"amzn\.mws\.{_UUID}",
    "google api key": rf"AIza{_W}{{35}}",
    "google oauth secret": rf"GOCSPX-{_W}{{28}}",
    "google access token": r"ya29\.[A-Za-z0-9_.-]{20,2000}+",
    "google refresh token": rf"1//0{_W}{{30,200}}+",
    "azure client secret": r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
    "azure storage key": r"(?<=AccountKey=)[A-Za-z0-9+/]{40,88}+={0,2}",
    "azure shared access": r"(?<=SharedAccessKey=)[A-Za-z0-9+/]{40,88}+={0,2}",
    "azure openai": rf"{_A}{{52}}JQQJ9{_A}{{20,30}}",
    "digitalocean": rf"do[oprs]_v1_{_H}{{64}}",
    "alibaba": rf"LTAI{_A}{{12,24}}",
    "tencent": rf"AKID{_A}{{32}}",
    "yandex": rf"AQVN{_W}{{35,38}}",
    "fly": r"fo1_[A-Za-z0-9_-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{60,}+={0,3}",
    "heroku": rf"HRKU-(?:AA{_W}{{58}}|{_UUID})",
    "render": rf"rnd_{_A}{{28,40}}",
    "netlify": rf"nfp_{_A}{{36,40}}",
    "vercel": rf"vc[pakir]_{_A}{{24,60}}+",
    "cloudflare origin": r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",
    "databricks": rf"dapi{_H}{{32}}(?:-[0-9])?",
    # code
    "github": rf"gh[opusr]_{_A}{{36,255}}+",
    "github fine-grained": r"github_pat_[A-Za-z0-9_]{59,255}+",
    "gitlab": rf"gl(?:pat|dt|rt|rtr|ptt|ft|soat|cbt|agent|imt|oas|ffct|wt)-{_W}{{20,300}}+",
    "gitlab runner": rf"GR1348941{_W}{{20,50}}+",
    "bitbucket": rf"ATBB{_A}{{32}}",
    "atlassian": r"AT(?:AT|CT)T3x?[A-Za-z0-9_=-]{60,400}+",
    "npm": rf"npm_{_A}{{36}}",
    "pypi": rf"pypi-AgE{_W}{{50,1000}}+",
    "rubygems": rf"rubygems_{_H}{{48}}",
    "cargo": rf"cio{_A}{{32}}",
    "nuget": r"oy2[a-z0-9]{43}",
    "clojars": r"CLOJARS_[a-z0-9]{60}",
    "docker": rf"dckr_[po]at_{_W}{{27,60}}+",
    "sentry": rf"sntr(?:yu_{_H}{{64}}|ys_[A-Za-z0-9+/=_-]{{60,500}}+)",
    "postman": rf"PMAK-{_H}{{24}}-{_H}{{34}}",
    "pulumi": rf"pul-{_H}{{40}}",
    "terraform": rf"{_A}{{14}}\.atlasv1\.[A-Za-z0-9_=-]{{60,70}}",
    "vault": rf"hv[sbr]\.{_W}{{24,300}}+",
    "doppler": r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,60}+",
    "1password": rf"ops_eyJ{_W}{{100,2000}}+={{0,2}}",
    "age": r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    # models
    "openai": rf"sk-(?:proj|svcacct|admin|None)-{_W}{{20,300}}+|sk-{_A}{{20}}T3BlbkFJ{_A}{{20}}",
    "anthropic": rf"sk-ant-[a-z]{{2,10}}[0-9]{{2}}-{_W}{{24,200}}+",
    "openrouter": rf"sk-or-v1-{_H}{{64}}",
    "langfuse": rf"[sp]k-lf-{_UUID}",
    "sk-": rf"sk-{_A}{{32,64}}+",
    "hugging face": rf"(?:hf|api_org)_{_A}{{34,40}}",
    "groq": rf"gsk_{_A}{{52}}",
    "xai": rf"xai-{_A}{{70,90}}",
    "perplexity": rf"pplx-{_A}{{40,60}}+",
    "replicate": rf"r8_{_A}{{37}}",
    "nvidia": rf"nvapi-{_W}{{60,80}}+",
    "together": rf"tgp_v1_{_W}{{40,60}}+",
    "fireworks": rf"fw_{_A}{{22,40}}",
    "langsmith": rf"lsv2_(?:pt|sk)_{_H}{{32}}_{_H}{{10}}",
    "pinecone": r"pcsk_[A-Za-z0-9_]{50,80}+",
    # money
    "stripe": rf"(?:sk|rk|pk)_(?:live|test)_{_A}{{10,200}}+|whsec_[A-Za-z0-9+/]{{24,80}}+={{0,2}}",
    "square": rf"sq0(?:atp|csp|idp|idb)-{_W}{{22,43}}|EAAA{_W}{{60}}",
    "paypal": rf"access_token\$(?:production|sandbox)\$[0-9a-z]{{16}}\${_H}{{32}}",
    "plaid": rf"access-(?:sandbox|development|production)-{_UUID}",
    "shopify": rf"shp(?:at|ca|pa|ss)_{_H}{{32}}",
    "easypost": rf"EZ[AT]K{_A}{{54}}",
    "flutterwave": rf"FLW(?:SECK|PUBK)(?:_TEST)?-{_A}{{12,40}}(?:-X)?",
    # messages
    "slack": r"xox[abeprs]-[A-Za-z0-9-]{10,250}+|xapp-[0-9]-[A-Za-z0-9-]{10,250}+",
    "slack, rotating": r"xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]{100,200}+",
    "twilio": rf"(?:SK|AC){_H}{{32}}",
    "sendgrid": rf"SG\.{_W}{{16,32}}\.{_W}{{16,64}}",
    "mailgun": rf"key-{_H}{{32}}|{_H}{{32}}-{_H}{{8}}-{_H}{{8}}",
    "mailchimp": rf"{_H}{{32}}-us[0-9]{{1,2}}",
    "brevo": rf"x(?:keysib|smtpsib)-{_H}{{64}}-{_A}{{16}}",
    "resend": rf"re_{_A}{{8}}_{_A}{{20,30}}",
    "telegram": rf"[0-9]{{8,10}}:AA{_W}{{33}}",
    "discord": rf"[MNO]{_W}{{23,27}}\.{_W}{{6}}\.{_W}{{27,45}}",
    "facebook": rf"EAA[A-Z]{_A}{{60,300}}+",
    # work
    "atlassian, notion, linear": rf"ntn_{_A}{{43,50}}|secret_{_A}{{43}}|lin_(?:api|oauth)_{_A}{{40,64}}",
    "airtable": rf"pat{_A}{{14}}\.{_H}{{64}}",
    "figma": rf"fig[dour]_{_W}{{40,60}}+",
    "hubspot": rf"pat-(?:na|eu|ap)[0-9]-{_UUID}",
    "typeform": rf"tfp_{_W}{{40,60}}+",
    "contentful": rf"CFPAT-{_W}{{43}}",
    "mapbox": r"[ps]k\.eyJ[A-Za-z0-9_-]{20,200}+\.[A-Za-z0-9_-]{20,60}+",
    # watching, storing
    "grafana": rf"glsa_{_A}{{32}}_{_H}{{8}}|glc_[A-Za-z0-9+/]{{32,400}}+={{0,2}}",
    "new relic": r"NRAK-[A-Z0-9]{27}|NRJS-[0-9a-f]{19}|NRII-[A-Za-z0-9_-]{32}",
    "dynatrace": r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "supabase": rf"sbp_{_H}{{40}}|sb_secret_{_W}{{22,60}}+",
    "planetscale": r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}+",
    "neon": rf"napi_{_A}{{60,70}}+",
    "prefect": rf"pn[ub]_{_A}{{36}}",
}
