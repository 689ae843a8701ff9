//! A file of limits that is looked at while the consumer runs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::file::{self, MAX_BYTES, TenantLimitsError};
use super::limits::TenantLimits;
use crate::consumer::text_file::Format;

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How often a file is read after its times have changed: some file systems count them in seconds.
const READS: u32 = 4;

/// What a file's times and size were.
type Stamp = (Option<SystemTime>, u64);

/// A file of limits.
#[derive(Debug, Clone)]
pub(crate) struct LimitsFile {
    path: PathBuf,
    format: Format,
    stamp: Option<Stamp>,
    reads_left: u32,
    /// What was read last, be it broken.
    content: Option<Vec<u8>>,
    /// Whether it could not be read when it was last tried: that is said once.
    unreadable: bool,
}

impl LimitsFile {
    /// The file at `path`, and what is in it.
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, TenantLimits), TenantLimitsError> {
        let format = file::format_of(&path)?;
        let mut file = Self { path, format, stamp: None, reads_left: 0, content: None, unreadable: false };
        match file.look().await? {
            Some(limits) => Ok((file, limits)),
            // The first look always reads.
            None => Err(file.unreadable(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The limits in the file, if they are others than at the last look. A broken file is told of once.
    async fn look(&mut self) -> Result<Option<TenantLimits>, TenantLimitsError> {
        let read = self.read().await;
        let content = match read {
            Ok(content) => content,
            Err(error) => {
                self.stamp = None;
                let known = std::mem::replace(&mut self.unreadable, true);
                return if known { Ok(None) } else { Err(self.unreadable(error)) };
            }
        };
        self.unreadable = false;
        let Some(content) = content else { return Ok(None) };
        if self.content.as_ref() == Some(&content) {
            return Ok(None);
        }
        let limits = file::parse(self.format, &self.path, &content);
        self.content = Some(content);
        limits.map(Some)
    }

    /// The content, if it may be other than it was.
    async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let metadata = tokio::fs::metadata(&self.path).await?;
        let stamp = (metadata.modified().ok(), metadata.len());
        if self.stamp.replace(stamp) != Some(stamp) {
            self.reads_left = READS;
        }
        if self.reads_left == 0 {
            return Ok(None);
        }
        self.reads_left -= 1;
        let mut content = Vec::new();
        tokio::fs::File::open(&self.path).await?.take(MAX_BYTES + 1).read_to_end(&mut content).await?;
        if content.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_BYTES} bytes")));
        }
        Ok(Some(content))
    }

    fn unreadable(&self, source: io::Error) -> TenantLimitsError {
        TenantLimitsError::Read { path: self.path.clone(), source }
    }

    /// Look at the file from now on, and hand over what is new in it.
    pub(crate) fn watch(
        mut self,
        runtime: &Handle,
        apply: impl Fn(Arc<TenantLimits>) + Send + 'static,
    ) -> WatchedLimits {
        let task = runtime.spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                match self.look().await {
                    Ok(None) => {}
                    Ok(Some(limits)) => {
                        tracing::info!(file = %self.path.display(), "the limits of tenants have changed");
                        apply(Arc::new(limits));
                    }
                    Err(error) => {
                        let source = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::error!(%error, source, "the limits of tenants stay as they were");
                    }
                }
            }
        });
        WatchedLimits(task.abort_handle())
    }
}

/// A file that is looked at for as long as this lives.
#[derive(Debug)]
pub(crate) struct WatchedLimits(AbortHandle);

impl Drop for WatchedLimits {
    fn drop(&mut self) {
        self.0.abort();
    }
}
