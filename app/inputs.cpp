#include "app/inputs.h"

#include <fmt/format.h>
#include <nettle/sha2.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "app/scenario/profile.h"
#include "app/scenario/schema.h"

namespace hvsim::app {
namespace {

constexpr std::size_t kChunk = 1 << 20;

class Sha256 {
  public:
    Sha256() { sha256_init(&context_); }
    void add(const char* data, std::size_t size) {
        sha256_update(&context_, size, reinterpret_cast<const std::uint8_t*>(data));
    }
    std::string hex() {
        std::array<std::uint8_t, SHA256_DIGEST_SIZE> bytes{};
        sha256_digest(&context_, bytes.size(), bytes.data());
        std::string text;
        for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
        return text;
    }

  private:
    sha256_ctx context_{};
};

/// "vm[0].disk[1].image" -> "vm.disk.image".
std::string without_indices(std::string_view path) {
    std::string text;
    bool inside = false;
    for (const char c : path) {
        if (c == '[') inside = true;
        if (!inside) text += c;
        if (c == ']') inside = false;
    }
    return text;
}

/// Whether the key's value is a file's name: what counts then is what is in the file.
bool names_file(std::string_view path) {
    const std::string plain = without_indices(path);
    for (const Section& section : schema())
        for (const Key& key : section.keys)
            if (key.type == ValueType::path && section.path == parent_path(plain) &&
                key.name == last_part(plain))
                return true;
    return false;
}

class Collector {
  public:
    void add(std::string role, const std::filesystem::path& file) {
        if (!file.empty())
            inputs.files.push_back({std::move(role), file.string(), sha256_of_file(file)});
    }
    void add_boot(const std::string& path, const BootConfig& boot) {
        add(path + ".kernel", boot.kernel);
        add(path + ".initramfs", boot.initramfs);
        for (std::size_t i = 0; i < boot.modules.size(); ++i)
            add(fmt::format("{}.modules[{}]", path, i), module_file(boot.modules[i]));
    }

    sim::RunInputs inputs;
};

}  // namespace

std::string sha256_of(std::string_view text) {
    Sha256 hash;
    hash.add(text.data(), text.size());
    return hash.hex();
}

std::string sha256_of_file(const std::filesystem::path& file) {
    Sha256 hash;
    errno = 0;
    std::ifstream in(file, std::ios::binary);
    std::vector<char> chunk(kChunk);
    while (in) {
        in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
        hash.add(chunk.data(), static_cast<std::size_t>(in.gcount()));
    }
    if (!in.eof())
        throw sim::ConfigError(fmt::format("cannot read {}: {}", file.string(),
                                           std::strerror(errno != 0 ? errno : EIO)));
    return hash.hex();
}

sim::RunInputs run_inputs(const Scenario& scenario, const InputSources& sources) {
    Collector all;
    all.add("scenario", scenario.file);
    all.add("timing_profile", find_profile(scenario, sources.profiles));
    all.inputs.files.push_back({"processor_model",
                                std::string(sources.processor, 0, sources.processor.find('\n')),
                                sha256_of(sources.processor)});
    if (scenario.boot) all.add_boot("boot", *scenario.boot);
    for (std::size_t i = 0; i < scenario.vms.size(); ++i) {
        const std::string path = fmt::format("vm[{}]", i);
        all.add_boot(path, scenario.vms[i].boot);
        for (std::size_t j = 0; j < scenario.vms[i].disks.size(); ++j)
            all.add(fmt::format("{}.disk[{}].image", path, j), scenario.vms[i].disks[j].image);
    }
    for (std::size_t i = 0; i < scenario.events.size(); ++i)
        all.add(fmt::format("event[{}].image", i), scenario.events[i].image);
    all.add("replay", sources.replay);
    for (std::string setting : sources.set) {
        if (names_file(std::string_view(setting).substr(0, setting.find('=')))) continue;
        std::replace(setting.begin(), setting.end(), '\n', ' ');
        all.inputs.settings.push_back(std::move(setting));
    }
    return std::move(all.inputs);
}

}  // namespace hvsim::app
