//! `pages reindex`: the store's index of the page archive, made anew from the archive itself.

use clap::{Args, Subcommand};

use super::{Common, DONE, print, say, to_json};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::stage::crawl::repair;
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `pages`.
#[derive(Debug, Args)]
pub(super) struct PagesArgs {
    #[command(subcommand)]
    command: PagesCommand,
}

#[derive(Debug, Subcommand)]
enum PagesCommand {
    /// Read every record of the page archive, and index what the workspace's database does not know: after the database
    /// was lost or an older copy put back, or after archive files were restored. Nothing is fetched.
    Reindex(Common),
}

pub(super) fn pages(arguments: &PagesArgs) -> Result<u8> {
    let PagesCommand::Reindex(common) = &arguments.command;
    let pipeline = common.load()?;
    let folder = pipeline.workspace_folder();
    if !folder.join("pages").is_dir() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{} has no page archive (a folder `pages`): check --workspace, or crawl first", folder.display()),
        ));
    }
    let mut store = Store::open(&folder, Access::Write)?;
    let repaired = repair::reindex(&mut store, &pipeline.crawl, &pipeline.site)?;
    if common.json {
        print(&to_json(&repaired)?)?;
    } else {
        repaired.notes.iter().for_each(|note| say(note));
        if !common.quiet {
            say(&format!(
                "{} archive files read, {} pages: {} indexed that were not, {} still lost",
                repaired.files,
                repaired.pages,
                repaired.indexed,
                store.lost_bodies()?
            ));
        }
    }
    if repaired.pages == 0 {
        say(&format!("no page was found in {}: nothing was indexed", folder.join("pages").display()));
    }
    let is_whole = repaired.pages > 0 && repaired.outside == 0 && store.lost_bodies()? == 0;
    Ok(if is_whole { DONE } else { exit::SOME_FAILED })
}
