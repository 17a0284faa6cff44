//! Models of a hub, through hf-hub and its cache.

use std::path::PathBuf;

use fs_err as fs;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use serde_json::Value;

use crate::HubError;
use crate::name::Name;

/// Branch of a name without a revision.
const MAIN: &str = "main";
/// Weights of a model that is not split.
const WEIGHTS: &str = "model.safetensors";
/// Names of the shards of a model that is split.
const INDEX: &str = "model.safetensors.index.json";
/// Small files without which no model is usable.
const NEEDED: [&str; 3] = ["config.json", "tokenizer.json", "tokenizer_config.json"];
/// Other small files that are read where they exist.
const OPTIONAL: [&str; 3] = ["generation_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// A hub and a cache of its models.
#[derive(Debug, Clone)]
pub struct Hub {
    cache: Cache,
    /// Address, if not that of the environment.
    endpoint: Option<String>,
}

impl Hub {
    /// Hub and cache of the environment variables `HF_ENDPOINT` and `HF_HOME`.
    pub fn from_env() -> Self {
        Self { cache: Cache::from_env(), endpoint: None }
    }

    /// A hub at this address, with this directory as cache.
    pub fn new(endpoint: impl Into<String>, cache: PathBuf) -> Self {
        Self { cache: Cache::new(cache), endpoint: Some(endpoint.into()) }
    }

    /// Finds the directory of a model, as [`resolve`](crate::resolve) does.
    ///
    /// # Errors
    /// As `resolve`.
    pub fn resolve(&self, name_or_path: &str) -> Result<PathBuf, HubError> {
        crate::local(name_or_path)?.or_else(|name| self.fetch(&name))
    }

    /// Returns the snapshot of a model, and fetches what the cache lacks.
    pub(crate) fn fetch(&self, name: &Name) -> Result<PathBuf, HubError> {
        let model = name.model.clone();
        let revision = name.revision.as_deref().unwrap_or(MAIN);
        let repo = Repo::with_revision(model.clone(), RepoType::Model, revision.to_owned());
        if let Some(snapshot) = self.complete(&repo) {
            return Ok(snapshot);
        }
        let shown =
            name.revision.as_ref().map_or_else(|| model.clone(), |revision| format!("{model}@{revision}"));
        let mut builder = ApiBuilder::from_env();
        // A token of the environment's cache goes to no other address.
        if let Some(endpoint) = &self.endpoint {
            builder = ApiBuilder::from_cache(self.cache.clone()).with_endpoint(endpoint.clone());
        }
        // hf-hub's own retries may write a file anew behind what is there; calling again resumes it properly.
        let failed = |error: ApiError, endpoint: &str| self.failed(error, endpoint, &shown);
        let api = builder.with_retries(0).build().map_err(|error| failed(error, "HF_ENDPOINT"))?;
        let endpoint = endpoint_of(&api.repo(repo.clone()));
        let failed = |error: ApiError| failed(error, &endpoint);
        let info = api.repo(repo.clone()).info().map_err(failed)?;
        let names: Vec<&str> = info.siblings.iter().map(|file| file.rfilename.as_str()).collect();
        let unusable = |reason: String| HubError::Unusable { name: shown.clone(), reason };
        if let Some(missing) = NEEDED.iter().find(|file| !names.contains(*file)) {
            return Err(unusable(format!("it has no {missing}; choose a model in transformers' format")));
        }
        // All files of one commit, also where the branch moves on meanwhile.
        let pinned = api.repo(Repo::with_revision(model, RepoType::Model, info.sha.clone()));
        for file in NEEDED.iter().chain(OPTIONAL.iter().filter(|file| names.contains(*file))) {
            pinned.get(file).map_err(failed)?;
        }
        // Weights come last: where they are complete, everything is.
        if names.contains(&WEIGHTS) {
            pinned.get(WEIGHTS).map_err(failed)?;
        } else if names.contains(&INDEX) {
            let index = pinned.get(INDEX).map_err(failed)?;
            let text = fs::read_to_string(&index).map_err(|error| unusable(error.to_string()))?;
            let shards = shards(&text).ok_or_else(|| unusable(format!("{INDEX} names no shards")))?;
            for shard in shards {
                pinned.get(&shard).map_err(failed)?;
            }
        } else {
            return Err(unusable(format!(
                "it has neither {WEIGHTS} nor {INDEX}; choose a model with safetensors"
            )));
        }
        let cached = self.cache.repo(repo);
        cached.create_ref(&info.sha).map_err(|error| failed(error.into()))?;
        Ok(cached.pointer_path(&info.sha))
    }

    /// Returns the snapshot of a revision if the cache holds all that is needed.
    fn complete(&self, repo: &Repo) -> Option<PathBuf> {
        let cached = self.cache.repo(repo.clone());
        for file in NEEDED {
            cached.get(file)?;
        }
        let config = cached.get(NEEDED[0])?;
        if cached.get(WEIGHTS).is_none() {
            let index = fs::read_to_string(cached.get(INDEX)?).ok()?;
            for shard in shards(&index)? {
                cached.get(&shard)?;
            }
        }
        Some(config.parent()?.to_owned())
    }

    fn failed(&self, error: ApiError, endpoint: &str, name: &str) -> HubError {
        let (endpoint, name) = (endpoint.to_owned(), name.to_owned());
        let reason = match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(401 | 403 | 404) => {
                    let token = self.cache.token_path().display().to_string();
                    return HubError::Unknown { endpoint, name, token };
                }
                error => error.to_string(),
            },
            ApiError::LockAcquisition(path) => {
                format!("another process fetches it and holds {}", path.display())
            }
            error => error.to_string(),
        };
        HubError::Unreachable { endpoint, name, reason }
    }
}

/// Address of the hub, without user and password.
fn endpoint_of(repo: &ApiRepo) -> String {
    let url = repo.url("");
    // `ENDPOINT/OWNER/NAME/resolve/REVISION/`; a revision has no slash in an address.
    let parts: Vec<&str> = url.rsplitn(6, '/').collect();
    let endpoint = parts.last().copied().unwrap_or_default();
    match endpoint.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        }
        None => endpoint.to_owned(),
    }
}

/// Returns the shards that an index names, without repetition; `None` for anything but file names.
fn shards(index: &str) -> Option<Vec<String>> {
    let value: Value = serde_json::from_str(index).ok()?;
    let mut names = Vec::new();
    for name in value.get("weight_map")?.as_object()?.values() {
        let name = name.as_str().filter(|name| !name.contains(['/', '\\']) && *name != "..")?;
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    (!names.is_empty()).then_some(names)
}
