//! Opens the registry of a call: for a change, for a query, or after a look on disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::{Context, Looked, NotedFor, PublishedCopy};
use super::fail::Failure;
use super::flags::Format;
use super::interrupt;
use super::render::{count, number};
use crate::catalog::{CatalogError, RegistryDir};
use crate::error::Error;
use crate::model::clock::{Clock, SystemClock};
use crate::model::filter::Filter;
use crate::model::operation::HistoryFilter;
use crate::model::progress::Monitor;
use crate::model::removal::{RemovalId, RemovalState};
use crate::ops::recover;
use crate::ops::refresh::{Question, RefreshOptions, RefreshReport};
use crate::registry::{Inbox, Options, Published, Registry, hostname};

/// Says what became of a removal, or of a restore of it, that was interrupted.
fn undone_text(registry: &Registry, id: &RemovalId) -> String {
    let kept = registry.removal(id).ok().flatten();
    if kept
        .as_ref()
        .is_some_and(|removal| removal.state == RemovalState::Restored)
    {
        return format!("a restore of removal {id} was interrupted and has been completed");
    }
    match kept.map(|removal| removal.reason) {
        None => {
            format!("removal {id} was interrupted and has been undone: its rows and data are back")
        }
        // A warning names the place.
        Some(reason) if reason.as_deref() == Some(recover::OCCUPIED) => format!(
            "removal {id} was interrupted and has been undone but for what has something new at its \
             place; move that away, then restore the rest with: dalsegno restore {id}"
        ),
        Some(_) => format!(
            "a restore of removal {id} was interrupted: what was back stays, and the rest is in the \
             trash; restore that with: dalsegno restore {id}"
        ),
    }
}

/// A query waits for so long to refresh the catalog, and then answers without.
const PATIENCE_OF_QUERIES: Duration = Duration::from_secs(3);

/// Lines about removals in the trash; the rest are counted.
pub(super) const MOST_LINES: usize = 5;

/// What a change is written to.
pub(super) enum Opened {
    Catalog(Box<Registry>),
    /// For the host that has the catalog.
    Inbox(Box<Inbox>),
}

impl Context {
    /// The base directory: --base, else the nearest parent of the current folder with a registry,
    /// or with something in its place, which is refused when it is opened. Says which it is, once,
    /// if that is not seen from the call and the current folder.
    pub(super) fn base(&self) -> Result<PathBuf, Failure> {
        // No search upwards from it: --base names the directory itself.
        if let Some(base) = &self.global.base {
            let of_environment = std::env::var_os("DALSEGNO_BASE");
            let here = std::env::current_dir().ok();
            let nearest = here.and_then(|here| nearest_base(&here).map(Path::to_path_buf));
            if of_environment.is_some_and(|of| of == *base)
                && nearest.is_some_and(|nearest| is_other_folder(&nearest, base))
            {
                self.say_base(base, " (DALSEGNO_BASE)");
            }
            return Ok(base.clone());
        }
        let here = std::env::current_dir().map_err(|error| {
            Failure::Outside(
                format!("the current folder cannot be read: {error}"),
                "go to a folder that exists, or give --base DIR",
            )
        })?;
        let Some(base) = nearest_base(&here) else {
            return Err(CatalogError::no_registry(&here).into());
        };
        if base != here {
            self.say_base(base, "");
        }
        Ok(base.to_path_buf())
    }

    fn say_base(&self, base: &Path, of: &str) {
        if !self.said_base.replace(true) {
            self.say(&format!("base directory: {}{of}", base.display()));
        }
    }

    /// The options for opening a registry that follow from the global flags.
    pub(super) fn options(&self) -> Options {
        let options = Options::new()
            .lock_timeout(self.global.lock_timeout)
            .monitor(self.bar("opening the catalog"))
            .interrupt(interrupt::ends_call)
            .spare_reserve(true)
            // After a change that succeeded, and never by what only asks: see `purge_due`.
            .purge_due(false)
            .on_wait(self.on_wait())
            .on_notice(self.on_notice());
        match &self.global.catalog {
            Some(catalog) => options.catalog(catalog),
            None => options,
        }
    }

    /// Opens the registry for a change.
    pub(super) fn open(&self) -> Result<Registry, Failure> {
        let registry = self.options().open(self.base()?)?;
        self.recovered(&registry);
        Ok(registry)
    }

    /// Opens the registry for a change that frees space, which on a full disk has the reserve for
    /// it.
    pub(super) fn open_to_free(&self) -> Result<Registry, Failure> {
        self.frees_space.set(true);
        let options = self.options().spare_reserve(false);
        let registry = options.open(self.base()?)?;
        self.recovered(&registry);
        Ok(registry)
    }

    /// Opens the registry for a change that the inbox has a note for: on a host without the
    /// catalog, opens the inbox.
    pub(super) fn open_or_note(&self) -> Result<Opened, Failure> {
        let error = match self.open() {
            Ok(registry) => return Ok(Opened::Catalog(Box::new(registry))),
            Err(Failure::Library(error)) => *error,
            Err(failure) => return Err(failure),
        };
        self.inbox_instead(error)
            .map(|inbox| Opened::Inbox(Box::new(inbox)))
    }

    /// Opens the registry for a change that does not wait longer than this.
    pub(super) fn open_within(&self, patience: Duration) -> Result<Registry, Failure> {
        let patience = patience.min(self.global.lock_timeout);
        let options = self.options().lock_timeout(patience);
        let registry = options.open(self.base()?)?;
        self.recovered(&registry);
        Ok(registry)
    }

    /// Opens the inbox because the catalog cannot be written: the next command that can takes in
    /// what is noted.
    pub(super) fn inbox_here(&self) -> Result<Inbox, Failure> {
        let inbox = Inbox::open(self.base()?)?;
        let host = Some(hostname());
        let _ = self.noted.set(NotedFor { host });
        Ok(inbox)
    }

    /// Opens the inbox after an error that says that another host has the catalog: opening gives
    /// it, and so does a change during which another host became the keeper.
    pub(super) fn inbox_instead(&self, error: Error) -> Result<Inbox, Failure> {
        let Error::Catalog(CatalogError::AtKeeper { host, .. }) = error else {
            return Err(error.into());
        };
        interrupt::changes();
        let inbox = Inbox::open(self.base()?)?;
        // A command asks once; a second answer would be the same.
        let _ = self.noted.set(NotedFor { host });
        Ok(inbox)
    }

    /// Unlinks what is due in the trash, for a moment. For commands that changed what they were to
    /// change: a question, a dry run or a mistyped command unlinks nothing, and neither does what
    /// brings data back.
    pub(super) fn purge_due(&self, registry: &Registry) {
        match registry.purge_due() {
            Ok(recovery) => {
                self.settled(registry, &recovery.undone, &recovery.purged);
                self.trash_problems(&recovery.problems);
            }
            // What was asked for is done.
            Err(error) => self.warn(&format!("what is due in the trash stays for now: {error}")),
        }
    }

    /// Says what the recovery at opening did.
    pub(super) fn recovered(&self, registry: &Registry) {
        let recovery = registry.recovery();
        self.settled(registry, &recovery.undone, &recovery.purged);
        self.trash_problems(&recovery.problems);
    }

    /// Says what became of removals that were interrupted by a crash.
    pub(super) fn settled(&self, registry: &Registry, undone: &[RemovalId], purged: &[RemovalId]) {
        for id in undone.iter().take(MOST_LINES) {
            self.say(&self.with_base(&undone_text(registry, id)));
        }
        for id in purged.iter().take(MOST_LINES) {
            self.say(&format!(
                "the rest of removal {id} in the trash has been unlinked"
            ));
        }
        for (ids, what) in [(undone, "undone"), (purged, "unlinked")] {
            let more = ids.len().saturating_sub(MOST_LINES);
            if more > 0 {
                let more = count(more, "other removal");
                self.say(&format!("so it was with {more}: {what}"));
            }
        }
    }

    /// Warns of what is left alone in the trash, up to a number; the rest is counted.
    pub(super) fn trash_problems(&self, problems: &[String]) {
        for problem in problems.iter().take(MOST_LINES) {
            self.warn(problem);
        }
        let more = problems.len().saturating_sub(MOST_LINES);
        if more > 0 {
            let hint = self.with_base("see each with: dalsegno verify");
            let more = number(more as u64);
            self.warn(&format!("and {more} more such lines; {hint}"));
        }
    }

    /// Opens the registry for a query that needs no look on disk.
    pub(super) fn open_read_only(&self) -> Result<Registry, Failure> {
        let base = self.base()?;
        let reading = || self.options().read_only(true).open(&base);
        let registry = match reading() {
            // After an upgrade of the program, even a query migrates the catalog if it may write.
            Err(error @ Error::Catalog(CatalogError::Behind { .. })) => {
                match self.options().open(&base) {
                    // Without the right to migrate it, the old version is what there is to tell.
                    Err(Error::Catalog(
                        CatalogError::ReadOnly { .. } | CatalogError::AtKeeper { .. },
                    )) => return Err(error.into()),
                    migrated => self.recovered(&migrated?),
                }
                // Opened again, because a query holds no writable connection.
                reading()?
            }
            opened => opened?,
        };
        if let Some(published) = registry.published()? {
            // The trash is that of now, and the copy may be older: nothing is said about it.
            self.say_published(published);
            return Ok(registry);
        }
        if let Some(notice) = registry.notice() {
            self.warn_once(notice);
        }
        let pending = match registry.pending() {
            // A query needs no trash.
            Err(error) if recover::is_no_trash(&error) => {
                self.warn_once(&format!(
                    "{error}; nothing in the trash is settled until it is moved away"
                ));
                return Ok(registry);
            }
            pending => pending?,
        };
        if pending.unsettled.is_empty() {
            return Ok(registry);
        }
        let hint = self.with_base("see: dalsegno doctor");
        // What recovery leaves to other users, no command of this user resolves.
        let left_alone = registry.folders_left_alone()?.count();
        // From outside, a removal at work looks like one that was interrupted.
        let what = match pending.unsettled.len().saturating_sub(left_alone) {
            0 => None,
            1 => Some("a removal is in flight or was interrupted".to_owned()),
            open => {
                let open = count(open, "removal");
                Some(format!("{open} are in flight or were interrupted"))
            }
        };
        if let Some(what) = what {
            self.warn(&format!(
                "{what}; the next command that writes resolves this; {hint}"
            ));
        }
        if left_alone > 0 {
            let folders = count(left_alone, "folder");
            self.warn(&format!(
                "recovery leaves {folders} in the trash alone; {hint}"
            ));
        }
        Ok(registry)
    }

    /// Says how old the published copy is that the answers are from, once in a call.
    fn say_published(&self, published: Published) {
        let age = published.at.and_then(|at| at.age_at(SystemClock.now()));
        let made = match (published.at, age) {
            (Some(at), Some(age)) => {
                // Parts of a second would say nothing.
                let age = Duration::from_secs(age.as_secs());
                format!(" of {at}, {} ago", humantime::format_duration(age))
            }
            (Some(at), None) => format!(" of {at}, in the future, by the clock of this host"),
            (None, _) => ", made at an unknown time".to_owned(),
        };
        let host = &published.host;
        let text = format!("the catalog is on host {host}; this is its published copy{made}");
        let copy = PublishedCopy {
            copy: published,
            age_seconds: age.map(|age| age.as_secs()),
        };
        // Only the first opening of a call can set it, and says it.
        if self.published.set(copy).is_ok() {
            self.say(&text);
        }
    }

    /// Opens the registry to refresh it, or read-only if it cannot be written. Waits for others for
    /// a moment only, because a query can do without.
    fn open_to_refresh(&self) -> Result<Registry, Failure> {
        let patience = self.global.lock_timeout.min(PATIENCE_OF_QUERIES);
        match self.options().lock_timeout(patience).open(self.base()?) {
            // Away from the catalog only its published copy answers, and that is never refreshed.
            Err(Error::Catalog(CatalogError::AtKeeper { .. })) => self.open_read_only(),
            Err(Error::Catalog(CatalogError::ReadOnly { .. })) => {
                let registry = self.open_read_only()?;
                // A notice says already that the catalog is read-only, and why.
                if registry.notice().is_none() {
                    self.warn("the catalog cannot be written, so it was not refreshed from disk");
                }
                Ok(registry)
            }
            registry => {
                let registry = registry?;
                self.recovered(&registry);
                Ok(registry)
            }
        }
    }

    /// Opens the registry for a question that looks on disk first, and passes it to `ask`. If
    /// another process that hangs, or a full disk, keeps `ask` from writing what it sees, it is
    /// asked again with the registry read-only: the catalog then answers as it is.
    pub(super) fn asked<T>(
        &self,
        ask: impl Fn(Registry) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.open_to_refresh().and_then(&ask) {
            Err(Failure::Library(error)) if is_of_the_moment(&error) => {
                self.warn(&format!("the catalog was not refreshed from disk: {error}"));
                ask(self.open_read_only()?)
            }
            answer => answer,
        }
    }

    /// Opens the registry for a query of a selection, which `filter` makes. Looks for its data on
    /// disk first, if `refresh` is given and the catalog can be written. The last value says
    /// whether something could not be read.
    pub(super) fn open_refreshed(
        &self,
        filter: impl Fn(&Registry) -> Result<Filter, Failure>,
        refresh: Option<RefreshOptions>,
        format: Format,
    ) -> Result<(Registry, Filter, bool), Failure> {
        let Some(refresh) = refresh else {
            let registry = self.open_read_only()?;
            let filter = filter(&registry)?;
            self.answers_as_of(&registry, format)?;
            return Ok((registry, filter, false));
        };
        self.asked(|registry| {
            let filter = filter(&registry)?;
            let monitor = self.monitor();
            let question = Question::Selection(&filter, refresh);
            let report = registry.refresh_for(question, &monitor as &dyn Monitor)?;
            drop(monitor);
            match registry.is_read_only() {
                true => self.answers_as_of(&registry, format)?,
                false => self.looked_for(&report),
            }
            let partly = self.notices_of_query(&report.notices);
            Ok((registry, filter, partly))
        })
    }

    /// Says what a look before an answer found to be gone.
    fn looked_for(&self, report: &RefreshReport) {
        let looked = Looked {
            gone: Some(report.gone),
            as_of: None,
        };
        // A command asks once; another answer of it knows the same of the disk.
        let is_first = self.looked.set(looked).is_ok();
        if !is_first {
            return;
        }
        self.say_gone(report.gone);
        if report.only_containers {
            let hint = self.with_base("look for each with: dalsegno refresh --all");
            self.say(&format!(
                "of so many arrays only the containers were looked for; {hint}"
            ));
        }
    }

    /// Says as of when an answer is true that comes from the catalog alone.
    fn answers_as_of(&self, registry: &Registry, format: Format) -> Result<(), Failure> {
        let mut as_of = None;
        // The newest operation comes first.
        registry.history(&HistoryFilter::default(), |operation| {
            as_of = Some(operation.at);
            Ok(ControlFlow::Break(()))
        })?;
        let looked = Looked { gone: None, as_of };
        // For people: programs read it in the document. Of a published copy its age is said.
        if let (Ok(()), Some(at), Format::Table, None) =
            (self.looked.set(looked), as_of, format, self.published.get())
        {
            self.say(&format!(
                "as of {at}, when the catalog was last changed; the disk was not looked at"
            ));
        }
        Ok(())
    }
}

/// The nearest folder, from this one upwards, with a registry or something in its place.
pub(super) fn nearest_base(here: &Path) -> Option<&Path> {
    here.ancestors()
        .find(|folder| match RegistryDir::exists(folder) {
            Ok(exists) => exists,
            Err(error) => matches!(error, CatalogError::NotAFolder { .. }),
        })
}

/// Whether two paths are surely those of different folders.
fn is_other_folder(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(|path| path.canonicalize());
    matches!((one, other), (Ok(one), Ok(other)) if one != other)
}

/// Whether another process, or a full disk, keeps a query from writing.
fn is_of_the_moment(error: &Error) -> bool {
    matches!(
        error,
        Error::Catalog(CatalogError::LockTimeout { .. } | CatalogError::Full { .. })
    )
}
