use postgres::Config;
use postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Writes a configuration as a libpq key=value string, which every driver reads back.
pub(crate) fn render(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.to_string_lossy().into_owned(),
    });
    let pairs = [
        ("host", comma_separated(hosts)),
        ("hostaddr", comma_separated(config.get_hostaddrs().iter().map(ToString::to_string))),
        ("port", comma_separated(config.get_ports().iter().map(ToString::to_string))),
        ("user", config.get_user().map(str::to_owned)),
        ("password", config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned())),
        ("dbname", config.get_dbname().map(str::to_owned)),
        ("options", config.get_options().map(str::to_owned)),
        ("connect_timeout", config.get_connect_timeout().map(|timeout| timeout.as_secs().to_string())),
        ("application_name", config.get_application_name().map(str::to_owned)),
        ("sslmode", ssl_mode(config.get_ssl_mode()).map(str::to_owned)),
        ("target_session_attrs", target(config.get_target_session_attrs()).map(str::to_owned)),
    ];
    let pairs = pairs.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", quoted(&value?))));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The same database, role and options, without the address.
pub(crate) fn elsewhere(config: &Config) -> Config {
    let mut other = Config::new();
    other.ssl_mode(SslMode::Disable);
    if let Some(user) = config.get_user() {
        other.user(user);
    }
    if let Some(password) = config.get_password() {
        other.password(password);
    }
    if let Some(name) = config.get_dbname() {
        other.dbname(name);
    }
    if let Some(options) = config.get_options() {
        other.options(options);
    }
    if let Some(name) = config.get_application_name() {
        other.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        other.connect_timeout(*timeout);
    }
    other
}

/// The first address: the host and the port.
pub(crate) fn address(config: &Config) -> Option<(&Host, u16)> {
    Some((config.get_hosts().first()?, config.get_ports().first().copied().unwrap_or(5432)))
}

fn target(attributes: TargetSessionAttrs) -> Option<&'static str> {
    match attributes {
        TargetSessionAttrs::ReadWrite => Some("read-write"),
        TargetSessionAttrs::ReadOnly => Some("read-only"),
        _ => None,
    }
}

fn comma_separated(values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn ssl_mode(mode: SslMode) -> Option<&'static str> {
    match mode {
        SslMode::Disable => Some("disable"),
        SslMode::Require => Some("require"),
        _ => None,
    }
}

fn quoted(value: &str) -> String {
    if !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-,:".contains(c)) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_read() {
        for conninfo in [
            "host=/tmp/pgq port=5433 user=me dbname=postgres",
            r"host=a,b port=1,2 user='it\'s me' password='back\\slash and space' dbname='' sslmode=disable",
            "postgresql://u:p%40ss@localhost:5433/db?options=-c%20lock_timeout%3D1s&connect_timeout=3",
            "hostaddr=127.0.0.1 user=me sslmode=require application_name=x",
            "host=a,b port=1,2 user=me target_session_attrs=read-write",
        ] {
            let config: Config = conninfo.parse().unwrap();
            let again: Config = render(&config).parse().unwrap();
            assert_eq!(format!("{config:?}"), format!("{again:?}"), "{conninfo}");
            assert_eq!(config.get_password(), again.get_password(), "{conninfo}");
        }
    }

    #[test]
    fn plain_values_stay_readable() {
        let config: Config = "user=postgres host=/tmp/a dbname=b".parse().unwrap();
        assert_eq!(render(&config), "host=/tmp/a user=postgres dbname=b");
    }
}
