// The example's page. It only calls the API that any client would call.
const base = '/api/v1';
const resources = [
  ['devices', '/devices', 'Devices', 'device'],
  ['zones', '/zones', 'Zones', 'zone'],
  ['entities', '/entities', 'Entities', 'entity'],
  ['integrations', '/integrations', 'Integrations', 'integration'],
  ['api_keys', '/api-keys', 'API keys', 'API key'],
];
const orgOf = { 'demo-admin': 'acme', 'demo-member': 'acme', 'demo-other': 'globex' };

/** Names for new rows. */
const places = ['Hall', 'Kitchen', 'Attic', 'Cellar', 'Garage', 'Garden', 'Study', 'Bedroom', 'Porch'];
const nameOf = (one) => `${places[Math.floor(Math.random() * places.length)]} ${one}`;

const $ = (id) => document.getElementById(id);
const credential = $('credential');
const org = $('org');

/** Creates an element with properties and children. Strings become text, never markup. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function call(method, path, body) {
  const response = await fetch(base + path, {
    method,
    headers: {
      'X-API-Key': credential.value,
      'X-Org': org.value,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = {
    status: response.status,
    headers: response.headers,
    body: text === '' ? null : JSON.parse(text),
  };
  if (method !== 'GET') {
    const quota = response.headers.get('RateLimit');
    $('last').textContent =
      `${method} ${path} → ${response.status}${quota === null ? '' : `, RateLimit: ${quota}`}`;
  }
  return answer;
}

function say(text, kind = '') {
  const notice = $('notice');
  notice.textContent = text;
  notice.className = kind;
  notice.hidden = text === '';
}

/** Runs a button's action, reports an error, and shows the new state. */
async function act(button, run) {
  button.disabled = true;
  try {
    const answer = await run();
    if (answer && answer.status >= 400) {
      const hint = answer.body.error_code === 'quota_exceeded' ? ' Upgrade, or delete something.' : '';
      say(`${answer.status} ${answer.body.error_code}: ${answer.body.message}${hint}`, 'bad');
    } else if (answer) say('');
  } catch {
    say('The server does not answer.', 'bad');
  } finally {
    button.disabled = false;
  }
  await refresh();
}

function text(name) {
  return typeof name === 'string'
    ? name
    : (name[navigator.language.slice(0, 2)] ?? name.en ?? Object.values(name)[0]);
}

function sourceText({ kind, slug }) {
  if (kind === 'tier') return `plan ${slug}`;
  return kind === 'override' ? 'override' : 'default plan';
}

function meter(current, limit) {
  const share = limit === null ? 0 : limit === 0 ? (current > 0 ? 1 : 0) : Math.min(1, current / limit);
  const isFull = limit !== null && current >= limit;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 1');
  svg.setAttribute('preserveAspectRatio', 'none');
  const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  rect.setAttribute('width', String(share * 100));
  rect.setAttribute('height', '1');
  svg.append(rect);
  const bar = make('div', { className: `meter ${isFull ? 'full' : share >= 0.8 ? 'near' : ''}` }, svg);
  bar.setAttribute('role', 'meter');
  bar.setAttribute('aria-valuenow', String(current));
  if (limit !== null) bar.setAttribute('aria-valuemax', String(limit));
  return bar;
}

function showPlan(plan, plans) {
  const own = plans.find((tier) => tier.slug === plan.tier_id);
  $('tier').textContent = own === undefined ? plan.tier_id : text(own.name);
  $('tier').dataset.tier = plan.tier_id;
  const { subscription } = plan;
  $('subscription').textContent =
    subscription == null
      ? 'No subscription: the default plan applies.'
      : `Subscription ${subscription.external_id} at ${subscription.provider}: ${subscription.status}.`;
  const rank = own?.sort_order ?? Number.POSITIVE_INFINITY;
  $('tiers').replaceChildren(
    ...plans
      .filter((tier) => tier.slug !== plan.tier_id)
      .map((tier) => {
        const word = tier.sort_order > rank ? 'Upgrade' : 'Downgrade';
        const button = make('button', {
          textContent: `${word} to ${text(tier.name)}`,
          className: word === 'Upgrade' ? 'primary' : '',
          title: text(tier.description ?? ''),
        });
        button.dataset.tier = tier.slug;
        button.onclick = () => act(button, () => checkout(tier.slug));
        return button;
      }),
  );
}

async function checkout(slug) {
  const answer = await call('POST', `/orgs/${org.value}/billing/checkout`, { tier_slug: slug });
  const page = answer.headers.get('Location');
  if (page !== null) {
    sessionStorage.setItem('credential', credential.value);
    location.assign(page);
  }
  return answer;
}

function showResources(usage, degradation, lists) {
  const flagged = new Map(degradation.flagged.map((row) => [`${row.resource}/${row.id}`, row.state]));
  $('resources').replaceChildren(
    ...resources.map(([key, path, title, one], i) => {
      const item = usage.items.find((use) => use.key === key);
      const { current, limit } = item;
      const value = limit.value ?? null;
      const add = make('button', { textContent: `Add ${one}`, className: 'small' });
      add.onclick = () => act(add, () => call('POST', path, { name: nameOf(one) }));
      const rows = lists[i].map((row) => {
        const state = flagged.get(`${key}/${row.id}`);
        const entry = make(
          'li',
          { className: row.suspended ? 'suspended' : '' },
          make('span', { textContent: row.name, title: row.id }),
        );
        entry.dataset.id = row.id;
        if (row.suspended || state !== undefined) {
          entry.append(
            make('em', {
              textContent: [state?.replaceAll('_', ' '), row.suspended ? 'suspended' : '']
                .filter(Boolean)
                .join(', '),
            }),
          );
        }
        if (degradation.over_capacity && degradation.overages.some((over) => over.key === key)) {
          entry.append(keepButton(key, row.id, true), keepButton(key, row.id, false));
        }
        const remove = make('button', { textContent: 'Delete', className: 'small' });
        remove.onclick = () => act(remove, () => call('DELETE', `${path}/${row.id}`));
        entry.append(remove);
        return entry;
      });
      const card = make(
        'div',
        { className: 'resource' },
        make('h3', {}, title, add),
        meter(current, value),
        make(
          'div',
          { className: 'facts' },
          make('span', { className: 'use', textContent: `${current} of ${value ?? 'unlimited'}` }),
          make('span', { textContent: sourceText(limit.source) }),
        ),
        make('ul', {}, ...rows),
      );
      card.dataset.key = key;
      return card;
    }),
  );
}

function keepButton(resource, id, keep) {
  const button = make('button', { textContent: keep ? 'Keep' : 'Drop', className: 'small' });
  button.onclick = () =>
    act(button, () =>
      call('POST', `/orgs/${org.value}/billing/degradation/resource`, { resource, resource_id: id, keep }),
    );
  return button;
}

function showCapacity(status) {
  $('capacity').hidden = !status.over_capacity;
  $('stage').textContent = status.stage.replaceAll('_', ' ');
  $('stage').className = `badge ${status.stage}`;
  $('story').textContent =
    status.over_capacity_since == null
      ? ''
      : `Since ${new Date(status.over_capacity_since).toLocaleString()}.`;
  $('level').value = status.degradation_level;
  $('level-text').textContent = `${Math.round(status.degradation_level * 100)} %`;
  $('policy').value = status.selection_policy;
  $('overages').replaceChildren(
    ...status.overages.map((over) =>
      make('li', { textContent: `${over.key}: ${over.current} of ${over.limit}, ${over.excess} too many` }),
    ),
  );
}

function showUsage(usage) {
  $('usage').tBodies[0].replaceChildren(
    ...usage.items.map(({ key, period, current, limit }) => {
      const value = limit.value ?? null;
      const use = make('td', { textContent: `${current} / ${value ?? '∞'}` });
      if (value !== null && current >= value && current > 0) use.className = 'over';
      return make(
        'tr',
        {},
        make('td', { textContent: period === 'lifetime' ? key : `${key} (${period.replace('_', ' ')})` }),
        use,
        make('td', { textContent: sourceText(limit.source) }),
      );
    }),
  );
}

/** An error found by the periodic refresh rather than a button's action. It is cleared once the cause is gone. */
let refreshError = null;
function reportRefreshError(text) {
  refreshError = text;
  say(text, 'bad');
}

let round = 0;
async function refresh() {
  round += 1;
  const mine = round;
  const at = `/orgs/${org.value}/billing`;
  try {
    const answers = await Promise.all([
      call('GET', `${at}/plan`),
      call('GET', '/plans'),
      call('GET', `${at}/usage`),
      call('GET', `${at}/degradation`),
      ...resources.map(([, path]) => call('GET', path)),
    ]);
    if (mine !== round) return;
    const refused = answers.find((answer) => answer.status >= 400);
    document.querySelector('main').hidden = refused !== undefined;
    if (refused !== undefined) {
      reportRefreshError(`${refused.status} ${refused.body.error_code}: ${refused.body.message}`);
      return;
    }
    if ($('notice').textContent === refreshError) say('');
    refreshError = null;
    const [plan, plans, usage, degradation, ...lists] = answers.map((answer) => answer.body);
    showPlan(plan, plans.plans);
    showCapacity(degradation);
    showResources(
      usage,
      degradation,
      lists.map((list) => list.items),
    );
    showUsage(usage);
    document.body.dataset.ready = String(mine);
  } catch {
    if (mine === round) reportRefreshError('The server does not answer.');
  }
}

credential.onchange = () => {
  sessionStorage.setItem('credential', credential.value);
  org.value = orgOf[credential.value] ?? org.value;
  say('');
  void refresh();
};
org.onchange = () => {
  say('');
  void refresh();
};
$('policy').onchange = () =>
  act($('policy'), () =>
    call('PUT', `/orgs/${org.value}/billing/degradation/policy`, { policy: $('policy').value }),
  );
$('open-door').onclick = () =>
  act($('open-door'), async () => {
    $('door').textContent = 'Opening …';
    const begun = performance.now();
    const answer = await call('POST', '/doors/front/open');
    const took = Math.round(performance.now() - begun);
    const delay = answer.headers.get('X-Degradation-Delay');
    const slowed = delay === null ? '' : `, held back by ${delay} ms`;
    $('door').textContent =
      answer.status === 200 ? `Open after ${took} ms${slowed}.` : `Stayed shut (${answer.status}).`;
    return answer;
  });

credential.value = sessionStorage.getItem('credential') ?? 'demo-admin';
org.value = orgOf[credential.value] ?? 'acme';
const back = new URL(location.href).searchParams.get('checkout');
if (back !== null) {
  say(
    back === 'success' ? 'Thank you. The new plan applies.' : 'Nothing was bought.',
    back === 'success' ? 'good' : '',
  );
  history.replaceState(null, '', '/');
}
await refresh();
// Stage and level change with time while the org is over capacity; other browsers and processes may change the rest.
setInterval(() => {
  if (!document.hidden && !document.querySelector('button:disabled')) void refresh();
}, 2_000);
