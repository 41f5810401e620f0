// What the page shows: data that the blueprint's /data gives, as text, tables and SVG made here. Nothing of it is ever read as HTML.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const POLL = 2000;
  const WHOLE = 30000;
  const DAY = 86400;
  const byId = (id) => document.getElementById(id);
  let last = null;
  let paused = false;
  let polling = false;
  let stream = null;

  const make = (name, attributes = {}, ...children) => {
    const svg = ["svg", "path", "line", "text", "rect", "circle", "title", "g"].includes(name) && name !== "title"
      || attributes.svg;
    const one = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (key !== "svg") one.setAttribute(key, value);
    one.append(...children.filter((child) => child !== null && child !== undefined));
    return one;
  };
  const put = (id, ...children) => byId(id).replaceChildren(...children);
  const number = (value) => value === null ? "" : Number(value).toLocaleString("en", { maximumFractionDigits: 2 });
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
  const empty = (text) => make("p", { class: "empty" }, text);
  const span = (seconds) => seconds >= 5400 ? `${Math.round(seconds / 3600)} h`
    : seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds)} s`;

  // Paths and addresses: where there is no room they go on in the next line behind a slash or a colon, not in the middle of a word.
  const code = (text) => make("code", {}, ...(String(text ?? "").match(/[^/:]*[/:]|[^/:]+/g) ?? []).flatMap((part) => [part, make("wbr")]).slice(0, -1));
  // Columns: [head, kind, value of a row]; kind n is a number, t is not broken, m is a meter, l tells its head where there is none.
  // The roles are what these elements have by themselves: on a phone their layout is another, and with it browsers take that away.
  const table = (caption, columns, rows) => {
    const head = make("tr", { role: "row" }, ...columns.map(([title, kind]) => make("th", { scope: "col", role: "columnheader", class: kind }, title)));
    const body = rows.map((row) => make("tr", { role: "row" }, ...columns.map(([title, kind, value]) => {
      const found = value(row);
      const text = found instanceof Node ? found : String(found ?? "");
      return make("td", { role: "cell", class: kind, "data-head": title }, text || null);
    })));
    return make("table", { role: "table" }, make("caption", {}, caption), make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...body));
  };
  // One that is stacked has no columns on a phone: each row is a few lines.
  const scrolled = (label, one, kind = "stack") => make("div", { class: `scroll ${kind}`, tabindex: "0", role: "region", "aria-label": label }, one);
  const bar = (value, most) => make("svg", { class: "bars", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    make("rect", { class: "bar", width: Math.max(1, 100 * value / (most || 1)).toFixed(1), height: 8, rx: 1 }));
  const ranked = (id, caption, head, pairs, none) => {
    if (!pairs.length) return put(id, empty(none));
    const most = pairs[0][1];
    put(id, table(caption, [
      [head, "k", (pair) => code(pair[0])],
      ["Refusals", "n", (pair) => number(pair[1])],
      ["", "m", (pair) => bar(pair[1], most)],
    ], pairs.slice(0, 10)));
  };

  const tiles = (data) => {
    const now = data.rates.slice(-7, -1);
    const seconds = now.length * data.step || 1;
    const rate = (at) => now.reduce((sum, step) => sum + step[at], 0) / seconds;
    const shown = [
      [number(rate(1)), "requests/s"], [number(rate(2)), "refused/s"], [number(data.totals.requests), "requests"],
      [number(data.totals.refusals), "refusals"], [number(data.totals.auth_failures), "credentials refused"],
      [number(data.totals.validation_failures), "bodies refused"], [number(data.totals.bans), "bans"],
      [number(data.workers), data.workers === 1 ? "worker" : "workers"],
    ];
    put("tiles", ...shown.map(([value, name]) => make("div", { class: "tile" }, make("b", {}, value), make("span", {}, name))));
  };

  const rates = (data) => {
    const steps = data.rates.slice(-byId("span").value * 60 / data.step);
    const [width, height, left, bottom] = [Math.max(320, byId("rates").clientWidth), 200, 44, 22];
    const top = Math.max(1, ...steps.map((step) => step[1] / data.step));
    const x = (at) => left + at * (width - left - 8) / Math.max(1, steps.length - 1);
    const y = (value) => 8 + (height - bottom - 8) * (1 - value / top);
    const line = (column) => steps.map((step, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(step[column] / data.step).toFixed(1)}`).join("");
    const area = `${line(1)}L${x(steps.length - 1).toFixed(1)} ${y(0)}L${left} ${y(0)}Z`;
    const total = (column) => steps.reduce((sum, step) => sum + step[column], 0);
    const label = `${number(total(1))} requests, ${number(total(2))} refused, ${number(total(3))} failed in ${span(steps.length * data.step)}`;
    const plot = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    for (const part of [0, .5, 1]) {
      plot.append(make("line", { class: "grid", x1: left, x2: width - 8, y1: y(top * part), y2: y(top * part) }));
      plot.append(make("text", { x: left - 6, y: y(top * part) + 4, "text-anchor": "end" }, number(Number((top * part).toPrecision(2)))));
    }
    const marks = width < 500 ? [0, 1] : [0, .25, .5, .75, 1];
    for (const part of marks) {
      const at = Math.round(part * (steps.length - 1));
      const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
      plot.append(make("text", { x: x(at), y: height - 5, "text-anchor": anchor }, clock(steps[at][0])));
    }
    plot.append(make("path", { class: "a-req", d: area }), make("path", { class: "l-req", d: line(1) }),
      make("path", { class: "l-ref", d: line(2) }), make("path", { class: "l-err", d: line(3) }));
    put("rates", plot);
    if (byId("rates-table").closest("details").open) {
      const rows = steps.filter((step) => step[1]).reverse();
      byId("rates-table").replaceChildren(...table("Rates", [
        ["Time", "t", (step) => clock(step[0])], ["Requests", "n", (step) => step[1]],
        ["Refused", "n", (step) => step[2]], ["Failed", "n", (step) => step[3]],
      ], rows).children);
    }
  };

  const bans = (data) => {
    if (data.bans === null) return put("bans", empty("Nothing bans here: see docs/bans.md."));
    if (!data.bans.length) return put("bans", empty("Nobody who was refused or found lately is banned."));
    const focused = document.activeElement?.dataset?.ban;
    put("bans", table("Bans", [
      ["Who", "", (one) => code(one.kind === "network" ? `network of ${one.address}` : one.address)],
      ["For", "n", (one) => span(one.seconds)],
      ["", "t", (one) => {
        const button = make("button", { type: "button", "data-ban": `${one.kind} ${one.address}` }, "Unban");
        button.setAttribute("aria-label", `Unban ${one.address}`);
        button.addEventListener("click", () => unban(one));
        return button;
      }],
    ], data.bans));
    if (focused) document.querySelector(`[data-ban="${CSS.escape(focused)}"]`)?.focus();
  };

  const findings = (data) => {
    if (data.findings === null) { put("timeline"); return put("findings", empty("No monitor watches this app.")); }
    if (!data.findings.length) { put("timeline"); return put("findings", empty("The detectors have found nothing.")); }
    const [width, height] = [Math.max(280, byId("timeline").clientWidth), 56];
    const end = data.time;
    const begin = Math.min(end - 600, ...data.findings.map((one) => one.time));
    const plot = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${data.findings.length} findings since ${clock(begin)}` });
    plot.append(make("line", { class: "grid", x1: 6, x2: width - 6, y1: 24, y2: 24 }));
    for (const one of data.findings) {
      const x = 10 + (one.time - begin) / (end - begin || 1) * (width - 20);
      plot.append(make("circle", { class: `s-${one.severity}`, cx: x.toFixed(1), cy: 24, r: 6 },
        make("title", { svg: true }, `${clock(one.time)} ${one.rule}`)));
    }
    plot.append(make("text", { x: 6, y: height - 6 }, clock(begin)), make("text", { x: width - 6, y: height - 6, "text-anchor": "end" }, clock(end)));
    put("timeline", plot);
    put("findings", scrolled("Findings", table("Findings", [
      ["Time", "t", (one) => clock(one.time)], ["Detector", "", (one) => one.rule], ["Severity", "", (one) => one.severity],
      ["Who", "", (one) => code(`${one.subject_kind ?? ""} ${one.subject ?? ""}`.trim())],
      ["Count", "n", (one) => `${number(one.count)} of ${number(one.threshold)}`], ["Response", "l", (one) => one.response],
    ], data.findings)));
  };

  const audit = (data) => {
    const log = data.audit;
    if (!log.enabled) return put("audit", empty("There is no audit log: RAMPART_AUDIT_LOG is off."));
    const seen = log.verified;
    const old = seen && data.time - seen.time >= DAY ? Math.floor((data.time - seen.time) / DAY) : 0;
    const [kind, word] = !seen ? ["warn", "not verified yet"] : seen.faults ? ["bad", `${seen.faults} faults`]
      : old ? ["warn", `not verified for ${old === 1 ? "a day" : `${old} days`}`] : ["good", "as it was written"];
    const told = make("p", {}, make("span", { class: `tag ${kind}` }, word),
      seen ? ` ${number(seen.records)} records${old && !seen.faults ? ", as they were written," : ""} on ${new Date(seen.time * 1000).toLocaleString("en-GB")}.` : "",
      " To verify: ", make("code", {}, "flask rampart audit verify"));
    const lost = make("p", {}, log.failures ? make("span", { class: "tag bad" }, `${log.failures} not written`) : make("span", { class: "tag good" }, "all written"),
      " by the workers of this host. ", log.refuses ? "What cannot be recorded is refused." : "What cannot be recorded goes on.");
    put("audit", told, lost);
  };

  const recent = (data) => {
    if (!data.recent.length) return put("recent", empty("Nobody has been refused since this was looked at."));
    put("recent", scrolled("Last refusals", table("Last refusals", [
      ["Time", "t", (one) => clock(one.time)], ["Code", "t", (one) => make("code", {}, one.code)],
      ["Address", "t", (one) => one.address && code(one.address)], ["Principal", "", (one) => one.principal],
      ["Request", "", (one) => code(`${one.method} ${one.route}`)],
    ], data.recent)));
  };

  const routes = (data) => {
    if (!data.routes.length) return put("routes", empty("No request yet."));
    put("routes", scrolled("Busiest routes", table("Busiest routes", [
      ["Route", "", (one) => code(`${one.method} ${one.route}`)], ["Requests", "n", (one) => number(one.requests)],
      ["4xx", "n", (one) => number(one.refused)], ["5xx", "n", (one) => number(one.failed)],
      ["Mean ms", "n", (one) => number(one.milliseconds)],
    ], data.routes), "slim"));
  };

  const seldom = (data) => {
    if (!data.coverage) return;
    const counts = data.coverage_counts;
    const hidden = counts.routes - data.coverage.length;
    byId("cover-sum").textContent = `${counts.routes} routes, ${counts.open ?? 0} that declare nothing and are open.`
      + (hidden ? ` ${hidden} are not shown: see flask rampart routes.` : "");
    const kinds = { guarded: "good", public: "warn", refused: "warn", open: "bad" };
    put("coverage", scrolled("Route coverage", table("Route coverage", [
      ["", "t", (one) => make("span", { class: `tag ${kinds[one.state]}` }, one.state)],
      ["Route", "", (one) => code(one.path)], ["Methods", "", (one) => one.methods.join(" ")],
      ["Guards", "", (one) => make("code", {}, one.guards.join("  ") || "none")],
    ], data.coverage)));
    if (data.reports === null) return put("reports", empty("Browsers report nowhere here: see docs/reports.md."));
    if (!data.reports.length) return put("reports", empty("No browser has reported anything."));
    put("reports", scrolled("Reports", table("Reports of browsers", [
      ["What", "", (one) => `${one.type} ${one.directive}`], ["Blocked", "", (one) => one.blocked && code(one.blocked)],
      ["Page", "l", (one) => code(one.page)], ["Clients", "n", (one) => number(one.clients)], ["To change", "", (one) => one.hint],
    ], data.reports)));
  };

  const show = (data) => {
    last = { ...last, ...data };
    byId("app").textContent = last.app;
    const since = last.since ? `, counting since ${new Date(last.since * 1000).toLocaleString("en-GB")}` : "";
    say(`${paused ? "Paused" : "Live"}${since}`);
    tiles(last); rates(last); bans(last); findings(last); audit(last); recent(last); routes(last); seldom(data);
    ranked("why", "Refusals by code", "Code", last.refusals, "Nothing was refused.");
    ranked("addresses", "Refusals by address", "Address", last.addresses, "No refusals to show.");
    ranked("principals", "Refusals by principal", "Principal", last.principals, "Nobody who is known was refused.");
  };
  // Said once, not every two seconds: a reader of screens would speak all the time.
  const say = (text) => { if (byId("state").textContent !== text) byId("state").textContent = text; };

  const load = async (whole) => {
    try {
      const answer = await fetch(`data?minutes=${byId("span").value}${whole ? "&whole=1" : ""}`,
        { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(WHOLE) });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      show(await answer.json());
    } catch (error) { say(`No data: ${error.message}. Trying again.`); }
  };
  const isIdle = () => paused || document.hidden;
  // Counted from the answer: a server that answers slowly is not asked again while it does.
  const again = (whole, wait) => setTimeout(async () => { if (!isIdle()) await load(whole); again(whole, wait); }, wait);
  const poll = () => { if (!polling) { polling = true; again(false, POLL); } };
  const hush = () => { stream?.close(); stream = null; };
  // Nobody looks: the thread that the stream holds at the server is given back.
  const heed = () => { if (isIdle()) hush(); else { load(false); listen(); } };
  const listen = () => {
    // Where the server has a thread to spare it sends; else it answers 204, which ends this, and the page asks.
    hush();
    if (isIdle() || polling) return;
    const events = stream = new EventSource(`events?minutes=${byId("span").value}`);
    events.onmessage = (event) => { if (!paused) show(JSON.parse(event.data)); };
    events.onerror = () => { if (events.readyState === EventSource.CLOSED) poll(); };
  };

  // What a token in a cookie asks for beside it: the cookie that scripts may read.
  const proof = () => {
    const name = document.querySelector("meta[name=csrf-cookie]").content;
    const found = name && document.cookie.split("; ").find((one) => one.split("=")[0] === name);
    return found ? { "X-CSRF-Token": decodeURIComponent(found.slice(found.indexOf("=") + 1)) } : {};
  };
  const unban = async (one) => {
    const told = byId("told");
    try {
      const answer = await fetch("unban", {
        method: "POST", headers: { "Content-Type": "application/json", "X-Rampart-Dashboard": "1", ...proof() },
        body: JSON.stringify({ kind: one.kind, address: one.address }),
      });
      if (!answer.ok) told.textContent = `It was refused: ${answer.status}.`;
      else told.textContent = (await answer.json()).was ? `${one.address} is banned no more.` : `${one.address} was not banned: nothing was changed.`;
    } catch (error) { told.textContent = `It was not sent: ${error.message}.`; }
    load(false);
  };

  const theme = byId("theme");
  const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} colours`); };
  try { const kept = localStorage.getItem("rampart-theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* no storage */ }
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("rampart-theme", document.documentElement.dataset.theme); } catch { /* no storage */ }
    label();
  });
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    byId("pause").textContent = paused ? "Go on" : "Pause";
    if (last) show({});
    heed();
  });
  document.addEventListener("visibilitychange", heed);
  byId("span").addEventListener("change", () => { load(false); listen(); });
  byId("rates-table").closest("details").addEventListener("toggle", () => { if (last) rates(last); });
  addEventListener("resize", () => { if (last) { rates(last); findings(last); } });
  label();
  load(true).then(listen);
  again(true, WHOLE);
})();
