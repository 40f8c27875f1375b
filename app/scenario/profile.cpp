#include "app/scenario/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "app/scenario/host_model.h"
#include "app/scenario/nearest.h"

namespace hvsim::app {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> search_path(const fs::path& scenario, const std::vector<fs::path>& first) {
    std::vector<fs::path> folders = first;
    const fs::path folder = scenario.parent_path();
    folders.push_back(folder / "profiles");
    std::error_code error;
    fs::path above = fs::absolute(scenario, error).lexically_normal().parent_path();
    for (; !error; above = above.parent_path()) {
        folders.push_back(above / "scenarios" / "profiles");
        if (above == above.parent_path()) break;
    }
    return folders;
}

/// All profile names in the folders, sorted.
std::vector<std::string> names_in(const std::vector<fs::path>& folders) {
    std::vector<std::string> names;
    for (const fs::path& folder : folders) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder, error))
            if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

}  // namespace

fs::path find_profile(const Scenario& scenario, const std::vector<fs::path>& folders) {
    std::string name = scenario.host.timing;
    if (name.ends_with(".toml")) return (scenario.file.parent_path() / name).lexically_normal();
    if (name.empty()) name = host_model(scenario.host).timing_profile;
    const std::vector<fs::path> path = search_path(scenario.file, folders);
    for (const fs::path& folder : path) {
        const fs::path file = folder / (name + ".toml");
        std::error_code error;
        if (fs::is_regular_file(file, error)) return file;
    }
    const std::vector<std::string> names = names_in(path);
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string_view near = nearest(name, views);
    std::string hint = near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near);
    hint += names.empty() ? "no profiles were found; name one by its path, ending in .toml"
                          : fmt::format("there are: {}", fmt::join(names, ", "));
    throw sim::ConfigError(scenario.where("host.timing"),
                           fmt::format("host.timing: no timing profile is called \"{}\"", name),
                           hint);
}

}  // namespace hvsim::app
