//! What keys of each kind may do, where, and for whom.

use simulator::{KeyConfig, KeyKind, SimulatorConfig, Statuses};

use crate::support::{Ask, Bench, plain};

/// The key's name, the tenant, another organization and region than the tenant's, and the status expected.
type Case<'a> = (&'a str, usize, Option<&'a str>, Option<&'a str>, u16);

const INVESTIGATIONS: &str = "/idr/v2/investigations";

#[tokio::test]
async fn validation_has_its_exact_bodies_on_every_region() {
    let bench = Bench::new(plain(1)).await;
    for region in bench.handle.config().regions.clone() {
        for method in ["GET", "POST"] {
            let ask = Ask { region: Some(region.clone()), ..Ask::default() };
            let good = bench.read(0, method, "/validate", ask.clone()).await;
            assert_eq!((good.status, good.text.as_str()), (200, r#"{"message":"Authorized"}"#));
            let bad =
                bench.read(0, method, "/validate", Ask { key: Some("no-such-key".into()), ..ask }).await;
            assert_eq!((bad.status, bad.text.as_str()), (401, r#"{"message":"Unauthorized"}"#));
        }
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn organization_and_region_are_enforced() {
    let bench = Bench::new(plain(4)).await;
    let keys = bench.handle.keys();
    let key = |name: &str| keys.iter().find(|key| key.name == name).map(|key| key.secret.clone());
    let elsewhere = bench.handle.tenants()[1].region.clone();
    let (empty, parent) = (String::new(), bench.handle.parent_organization().to_owned());
    let other = bench.handle.tenants()[2].id.clone();
    let cases: [Case; 11] = [
        ("main", 0, None, None, 200),
        ("main", 0, None, Some(&elsewhere), 401),
        ("main", 0, Some(&empty), None, 401),
        ("main", 0, Some("11111111-0000-4000-8000-000000000000"), None, 403),
        ("main", 0, Some(&parent), None, 403),
        ("analyst", 0, None, None, 200),
        ("analyst", 1, None, None, 403),
        ("organization", 0, Some(&empty), None, 200),
        ("organization", 0, Some(&other), None, 200),
        ("user", 0, Some(&empty), None, 200),
        ("user", 0, Some(&empty), Some(&elsewhere), 401),
    ];
    for (name, tenant, organization, region, expected) in cases {
        let ask = Ask {
            key: key(name),
            organization: organization.map(str::to_owned),
            region: region.map(str::to_owned),
            ..Ask::default()
        };
        let answer = bench.read(tenant, "GET", INVESTIGATIONS, ask).await;
        assert_eq!(
            answer.status, expected,
            "{name} for {tenant}, {organization:?} in {region:?}: {}",
            answer.text
        );
    }
    let misplaced = bench.handle.journal().misplaced;
    let reasons =
        |reason: &str| misplaced.iter().filter(|one| one.reason == reason).map(|one| one.count).sum::<u64>();
    assert_eq!((reasons("wrong_region"), reasons("foreign_organization")), (2, 3));
    bench.handle.stop().await;
}

#[tokio::test]
async fn the_tenant_list_is_for_the_primary_account_alone() {
    let bench = Bench::new(plain(4)).await;
    let parent = bench.handle.parent_organization().to_owned();
    let path = "/account/api/1/managed-organizations";
    for (name, organization, expected) in [
        ("main", parent.clone(), 200),
        ("main", String::new(), 401),
        ("main", bench.handle.tenants()[0].id.clone(), 403),
        ("analyst", parent.clone(), 403),
        ("organization", parent.clone(), 403),
        ("user", parent.clone(), 403),
    ] {
        let key = bench.handle.key(name).map(|key| key.secret);
        let ask = Ask { key, organization: Some(organization.clone()), ..Ask::default() };
        assert_eq!(bench.read(0, "GET", path, ask).await.status, expected, "{name} as {organization}");
    }
    let analyst = bench.handle.key("analyst").expect("a key");
    let ask = Ask { key: Some(analyst.secret), organization: Some(parent), ..Ask::default() };
    let path = format!("/account/api/1/users/{}/managed-organizations", analyst.user_id);
    let reached = bench.read(0, "GET", &path, ask.clone()).await.json();
    assert_eq!(reached["metadata"]["total_data"], 2, "every second one");
    let other = bench.read(0, "GET", "/account/api/1/users/nobody/managed-organizations", ask).await;
    assert_eq!(other.status, 403);
    bench.handle.stop().await;
}

#[tokio::test]
async fn unknown_statuses_are_settings() {
    let statuses = Statuses { missing_organization: 400, foreign_organization: 404 };
    let bench = Bench::new(SimulatorConfig { statuses, ..plain(2) }).await;
    for (organization, expected) in [("", 400), ("nobody", 404)] {
        let ask = Ask { organization: Some(organization.to_owned()), ..Ask::default() };
        assert_eq!(bench.read(0, "GET", INVESTIGATIONS, ask).await.status, expected);
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn keys_come_and_go_while_it_runs() {
    let mut dying = KeyConfig::new("dying", KeyKind::MultiTenantAdmin);
    dying.revoke_after = Some(2);
    let keys = vec![KeyConfig::new("main", KeyKind::MultiTenantAdmin), dying];
    let bench = Bench::new(SimulatorConfig { keys, ..plain(1) }).await;
    let status = |secret: String| {
        let bench = &bench;
        async move {
            bench.read(0, "GET", INVESTIGATIONS, Ask { key: Some(secret), ..Ask::default() }).await.status
        }
    };
    let dying = bench.handle.key("dying").expect("a key").secret;
    assert_eq!(
        [status(dying.clone()).await, status(dying.clone()).await, status(dying).await],
        [200, 200, 401]
    );

    let old = bench.key.clone();
    let new = bench.handle.replace_key("main").expect("the key is known").secret;
    assert_ne!(old, new);
    assert_eq!([status(old).await, status(new.clone()).await], [401, 200]);
    assert_eq!(bench.handle.revoke_key("main"), 2);
    assert_eq!(status(new).await, 401);
    bench.handle.stop().await;
}

#[tokio::test]
async fn what_a_user_may_reach_changes_while_it_runs() {
    let mut analyst = KeyConfig::new("analyst", KeyKind::MultiTenantUser);
    analyst.reach = Some(vec!["#0".to_owned(), "#1".to_owned()]);
    let keys = vec![KeyConfig::new("main", KeyKind::MultiTenantAdmin), analyst];
    let bench = Bench::new(SimulatorConfig { keys, ..plain(3) }).await;
    let key = bench.handle.key("analyst").map(|key| key.secret);
    let reached = async || {
        let mut statuses = Vec::new();
        for tenant in 0..3 {
            let ask = Ask { key: key.clone(), ..Ask::default() };
            statuses.push(bench.read(tenant, "GET", INVESTIGATIONS, ask).await.status);
        }
        statuses
    };
    assert_eq!(reached().await, [200, 200, 403]);
    bench.handle.set_reach("analyst", &["#2".to_owned()]).expect("a key and a tenant");
    assert_eq!(reached().await, [403, 403, 200]);
    let url = format!("{}/keys/analyst/reach", bench.handle.control());
    for (body, status, then) in [
        (r##"["#1","#2"]"##, 200, [403, 200, 200]),
        (r##"["#9"]"##, 400, [403, 200, 200]),
        ("[]", 200, [403, 403, 403]),
    ] {
        let answer = bench.client.post(&url).body(body).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{body}");
        assert_eq!(reached().await, then, "{body}");
    }
    assert!(bench.handle.set_reach("main", &[]).is_err(), "an administrator reaches all");
    bench.handle.stop().await;
}

#[tokio::test]
async fn the_api_keys_api_makes_and_deletes_keys() {
    let bench = Bench::new(plain(2)).await;
    let id = bench.handle.tenants()[0].id.clone();
    let path = "/account/api/1/api-keys";
    let body = |kind: &str| Some(format!(r#"{{"name":"etl-2","type":"{kind}","organization_id":"{id}"}}"#));
    let ask = |kind: &str| Ask { body: body(kind), ..Ask::default() };
    assert_eq!(bench.read(0, "POST", path, ask("MULTI_TENANT")).await.status, 400, "not by default");
    let made = bench.read(0, "POST", path, ask("ORGANIZATION")).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let (secret, key_id) =
        (made["data"]["key"].as_str().expect("a secret"), made["data"]["id"].as_str().expect("an id"));
    let listed = bench.read(0, "GET", path, Ask::default()).await;
    assert!(listed.text.contains(key_id) && !listed.text.contains(secret), "secrets are never listed");
    let with = |secret: &str| Ask {
        key: Some(secret.to_owned()),
        organization: Some(String::new()),
        ..Ask::default()
    };
    assert_eq!(bench.read(0, "GET", INVESTIGATIONS, with(secret)).await.status, 200);
    let parent = || Some(bench.handle.parent_organization().to_owned());
    let user = Ask { organization: parent(), ..ask("USER") };
    let user =
        Ask { body: user.body.map(|body| body.replace(&id, bench.handle.parent_organization())), ..user };
    assert_eq!(bench.read(0, "POST", path, user).await.status, 201);
    let listed = bench.read(0, "GET", path, Ask { organization: parent(), ..Ask::default() }).await.text;
    assert!(
        listed.contains("etl-2") && !listed.contains(key_id),
        "a key is at home where it was made: {listed}"
    );
    let path = format!("{path}/{key_id}");
    assert_eq!(
        bench.read(1, "DELETE", &path, Ask::default()).await.status,
        404,
        "not another organization's"
    );
    assert_eq!(bench.read(0, "DELETE", &path, Ask::default()).await.status, 204);
    assert_eq!(bench.read(0, "GET", INVESTIGATIONS, with(secret)).await.status, 401);
    bench.handle.stop().await;
}
