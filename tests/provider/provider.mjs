// An OpenID provider for the tests: node provider.mjs PORT, told the rest line by line on its standard input.
//
// {"jwks": …} begins anew with these private keys, the first of each algorithm signing, and keeps what it has issued;
// {"seen": PATH} asks how often a path was requested. Each line is answered with one line of JSON.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const AUDIENCE = "https://api.example/";

// One resource for each kind of access token: it is what a client names to get that kind.
const KINDS = {
  rs256: { accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } },
  es256: { accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } },
  opaque: { accessTokenFormat: "opaque" },
};

const CLIENTS = [
  {
    client_id: "machine",
    client_secret: "machine-secret",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
  },
  {
    client_id: "phone",
    application_type: "native",
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code"],
    redirect_uris: ["http://127.0.0.1/signed-in"],
  },
  {
    // The API itself, which asks what opaque tokens are worth.
    client_id: "api",
    client_secret: "api-secret",
    grant_types: [],
    redirect_uris: [],
    response_types: [],
  },
];

const seen = new Map();
let answer = (request, response) => response.writeHead(503).end();

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://provider");
  seen.set(pathname, (seen.get(pathname) ?? 0) + 1);
  answer(request, response);
});

function begin(jwks) {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks,
    clients: CLIENTS,
    scopes: ["openid", "read", "write"],
    cookies: { keys: ["a key that only tests know"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: {
      AccessToken: 3600,
      ClientCredentials: 3600,
      Grant: 3600,
      IdToken: 3600,
      Interaction: 3600,
      Session: 3600,
    },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === "api" },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: "read write",
          audience: resource,
          ...KINDS[resource.slice(AUDIENCE.length)],
        }),
      },
    },
  });
  answer = provider.callback();
  return { issuer };
}

server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const asked = JSON.parse(line);
    const told = "jwks" in asked ? begin(asked.jwks) : { times: seen.get(asked.seen) ?? 0 };
    process.stdout.write(`${JSON.stringify(told)}\n`);
  });
  // Whoever started it has ended.
  lines.on("close", () => process.exit(0));
});
