//! Settings of the database under which committed events can be lost.

use crate::database::pool::Pool;

/// A warning for each setting that cannot keep the outbox's promise.
pub(crate) async fn warnings(pool: &Pool) -> Result<Vec<String>, sqlx::Error> {
    match pool {
        #[cfg(feature = "mysql")]
        Pool::MySql(_) => {
            let sql = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.log_bin, @@GLOBAL.sync_binlog";
            let rows = pool.query(sql.to_owned()).await?;
            let Some(row) = rows.first() else { return Ok(Vec::new()) };
            Ok(judge(row.integer(0)?, row.integer(1)?, row.integer(2)?))
        }
        #[cfg(feature = "sqlite")]
        Pool::Sqlite(_) => {
            let rows = pool.query("PRAGMA synchronous".to_owned()).await?;
            let synchronous = rows.first().map_or(Ok(2), |row| row.integer(0))?;
            let weak = synchronous < 2;
            let warning = "synchronous is weaker than FULL: a power failure can lose committed events";
            Ok(weak.then(|| warning.to_owned()).into_iter().collect())
        }
    }
}

#[cfg(feature = "mysql")]
fn judge(flush_log: i64, log_bin: i64, sync_binlog: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    if flush_log != 1 {
        warnings.push(format!(
            "innodb_flush_log_at_trx_commit is {flush_log}, not 1: a crash of the database's machine can lose committed events"
        ));
    }
    if log_bin == 1 && sync_binlog != 1 {
        warnings.push(format!(
            "sync_binlog is {sync_binlog}, not 1: a crash of the database's machine can lose events that replicas should have"
        ));
    }
    warnings
}

#[cfg(test)]
#[cfg(feature = "mysql")]
mod tests {
    use super::judge;

    #[test]
    fn durable_settings_raise_no_warning() {
        assert!(judge(1, 1, 1).is_empty());
        assert!(judge(1, 0, 0).is_empty(), "without a binary log there is nothing to flush");
    }

    #[test]
    fn each_weak_setting_is_named() {
        assert_eq!(judge(2, 1, 0).len(), 2);
        assert!(judge(2, 1, 1)[0].contains("innodb_flush_log_at_trx_commit is 2"));
    }
}
