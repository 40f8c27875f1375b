#include "app/machine/boot_files.h"

#include <fmt/format.h>

#include "app/machine/board.h"

namespace hvsim::app {
namespace {

namespace firmware = devices::firmware;

firmware::FlatStart flat_start(const FlatBootConfig& flat) {
    firmware::FlatStart start;
    start.mode = flat.mode;
    start.load_address = flat.load;
    start.entry = flat.entry.value_or(flat.load);
    for (const std::string& text : flat.registers)
        if (const auto value = firmware::parse_register(text)) start.registers.push_back(*value);
    return start;
}

}  // namespace

firmware::BootImage read_boot_files(const Scenario& scenario, const BootConfig& boot,
                                    const std::string& path) {
    const auto read = [&](const std::string& key, const std::filesystem::path& file) {
        return firmware::BootFile{read_file(scenario, key, file), file.string(), {}};
    };
    firmware::BootImage image;
    image.protocol = boot.protocol;
    image.kernel = read(path + ".kernel", boot.kernel);
    if (!boot.initramfs.empty()) image.initramfs = read(path + ".initramfs", boot.initramfs);
    for (std::size_t i = 0; i < boot.modules.size(); ++i) {
        image.modules.push_back(
            read(fmt::format("{}.modules[{}]", path, i), module_file(boot.modules[i])));
        image.modules.back().words = module_words(boot.modules[i]);
    }
    image.command_line = boot.command_line;
    image.flat = flat_start(boot.flat);
    image.where = scenario.where(path + ".kernel");
    return image;
}

}  // namespace hvsim::app
