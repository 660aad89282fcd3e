//! A stand-in for the Rapid7 Command Platform on loopback: strict, fast, and as nasty as it is told to be.
//!
//! [`Simulator::start`] serves every region of a [`SimulatorConfig`] under `http://127.0.0.1:PORT/{region}`: the tenant
//! list and the other Account resources, investigations, alerts and entities of the SIEM, and assets, findings,
//! vulnerabilities, sites, scans and engines of vulnerability management. Keys, regions, organizations, page sizes and
//! parameters are enforced as the platform enforces them. The same configuration serves the same bytes, and any page is
//! found without making the ones before it.
//!
//! Where the platform's answer is unknown, the choice is a setting ([`Statuses`], [`SimulatorConfig::inclusive_end`]), and
//! one path is a guess: the organizations of one user stand at `/account/api/1/users/{user_id}/managed-organizations`.
//!
//! # Time
//!
//! The platform's clock stands at [`SimulatorConfig::now`] until it is set, by [`Handle::set_now`] or its control path, and
//! stands still between two settings. As it moves on, rows come into being, change and vanish, assets are scanned, and
//! tenants join, leave and move ([`Evolution`], [`TenantEvent`]). A moment is served the same however the clock got there.
//! Where a time was configured or set, answers carry it as their `Date`.
//!
//! | rows | as time passes |
//! |---|---|
//! | investigations, alerts | come at the rate of their history, a few of them late, and change for some days |
//! | users, accounts, assets, sites | appear and vanish, as many as there are; an account is disabled, a status changes |
//! | scans | come at the rate of their history, run, and end |
//! | assets of vulnerability management | appear and vanish; after the start, what is known of one changes with its scans alone |
//! | definitions | are added and modified |
//!
//! # Held at a step
//!
//! [`Fault::Hold`] lets one exchange stand still at a [`Step`] of it, and [`JournalReport::held`] says that it does: a client
//! can be killed exactly there. Replacing the faults lets everything go.
//!
//! # Control paths
//!
//! Everything the [`Handle`] can do is also served, without a key, as JSON:
//!
//! | call | does |
//! |---|---|
//! | `GET /_sim` | these paths |
//! | `GET`, `POST /_sim/clock` | the platform's time; `{"now"}` or `{"advance_ms"}` sets it, and there it stands still |
//! | `GET /_sim/config` | the configuration it was started with |
//! | `GET /_sim/tenants` | the organizations managed at present, each once, with their true regions |
//! | `GET /_sim/journal`, `DELETE /_sim/journal` | what was asked so far ([`JournalReport`]); forget it |
//! | `GET /_sim/truth` | counts and digests of every tenant and dataset ([`Truth`]); `since`, `until` narrow the timed ones |
//! | `GET /_sim/truth/{dataset}/{tenant}` | the keys of the rows ([`Keys`]), with the same parameters |
//! | `GET /_sim/truth/{dataset}/{tenant}/rows` | the rows as they are served at present ([`RowTruth`]s), with the same parameters |
//! | `GET`, `POST`, `DELETE /_sim/faults` | the list of [`FaultRule`]s: show, replace, clear |
//! | `GET`, `POST`, `DELETE /_sim/limits` | show all, set one [`LimitRule`], lift all |
//! | `GET`, `POST /_sim/keys` | show all ([`KeyInfo`]), add one ([`KeyConfig`]) |
//! | `POST`, `DELETE /_sim/keys/{name}` | replace a key by a new one of the same name; revoke it |
//! | `POST /_sim/keys/{name}/reach` | change what a multi-tenant user key may reach: a list of organizations |
//! | `POST /_sim/rows` | `{"dataset", "tenant", "append", "delete"}`: rows added at the end, taken from the beginning |
//! | any `/_sim/trap...` | where injected redirects lead; the journal counts who came, and who brought a key |
//!
//! A tenant is given by its id, its name, or `#` and its place in the list.

mod account_api;
mod answer;
mod body;
mod call;
mod clock;
mod config;
mod control;
mod criteria;
mod data;
mod entity_api;
mod events;
mod faults;
mod handle;
mod hold;
mod idr_api;
mod journal;
mod keys;
mod limits;
mod listing;
mod memo;
mod platform;
mod query;
mod report;
mod request;
mod route;
mod server;
mod strike;
mod tenants;
mod truth;
mod vm_api;

pub use config::{Evolution, Quirks, SimulatorConfig, Statuses};
pub use data::Dataset;
pub use events::{TenantChange, TenantEvent};
pub use faults::{Fault, FaultRule, Step};
pub use handle::Handle;
pub use keys::{KeyConfig, KeyInfo, KeyKind};
pub use limits::{LimitHeaders, LimitRule, LimitScope, RetryAfter};
pub use report::{JournalReport, Misplaced, Span, SpanBefore, Tally};
pub use server::{Simulator, StartError};
pub use tenants::Tenant;
pub use truth::{DatasetTruth, Keys, RowTruth, TenantTruth, Truth, digest};
