//! Developer tasks.

mod cache;
mod libtorch;
mod settings;

fn main() -> anyhow::Result<()> {
    let settings = settings::Settings::from_env()?;
    let libtorch = libtorch::prepare(&settings)?;
    eprintln!("{libtorch:?} {:?} {:?}", settings.data, settings.workspace);
    Ok(())
}
