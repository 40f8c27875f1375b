#include "app/inputs.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/cli/command_text.h"
#include "app/cli/program.h"
#include "app/cli/xml_text.h"
#include "app/exit_codes.h"
#include "app/scenario/reader.h"
#include "app/whole_file.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("SHA-256 (FIPS 180-4, appendix B.1)") {
    CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_THROWS_AS(sha256_of_file("/no/such/file"), sim::ConfigError);
    CHECK_THROWS_AS(sha256_of_file("/"), sim::ConfigError);
}

TEST_CASE("every file that a run reads is among its inputs") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / fmt::format("hvsim-inputs-{}", ::getpid());
    std::filesystem::create_directories(folder);
    for (const char* name : {"kernel", "initramfs", "image", "added", "keys"})
        std::ofstream(folder / name) << name;
    std::filesystem::resize_file(folder / "image", 1 << 20);
    std::filesystem::resize_file(folder / "added", 1 << 20);
    std::ofstream(folder / "s.toml")
        << "[host]\nvendor = \"intel\"\n[hypervisor]\n[[vm]]\nname = \"a\"\nkernel = \"kernel\"\n"
           "initramfs = \"initramfs\"\n[[vm.disk]]\nimage = \"image\"\n[[event]]\nat = \"1 s\"\n"
           "action = \"add-disk\"\nlun = 5\nimage = \"added\"\n";
    const std::vector<std::string> set{"vm[0].kernel=kernel", "host.quantum=20us"};
    const std::vector<std::filesystem::path> profiles{std::string(HVSIM_SOURCE_DIR) +
                                                      "/scenarios/profiles"};
    const Scenario scenario = read_scenario(folder / "s.toml", {set, profiles, true});
    const sim::RunInputs inputs =
        run_inputs(scenario, {set, profiles, folder / "keys", "model\nleaf"});
    std::vector<std::string> roles;
    for (const sim::RunInput& input : inputs.files) {
        roles.push_back(input.role);
        CHECK(input.sha256.size() == 64);
        if (input.role != "processor_model") CHECK(input.sha256 == sha256_of(text_of(input.file)));
    }
    CHECK(roles == std::vector<std::string>{"scenario", "timing_profile", "processor_model",
                                            "vm[0].kernel", "vm[0].initramfs",
                                            "vm[0].disk[0].image", "event[0].image", "replay"});
    CHECK(inputs.files[2].file == "model");
    CHECK(inputs.settings == std::vector<std::string>{"host.quantum=20us"});
    std::filesystem::remove_all(folder);
}

TEST_CASE("a file is written whole or not at all") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / fmt::format("hvsim-whole-{}", ::getpid());
    std::filesystem::create_directories(folder / "sub");
    write_whole_file(folder / "a", "one");
    write_whole_file(folder / "a", "two");
    CHECK(text_of(folder / "a") == "two");
    std::filesystem::create_symlink("a", folder / "link");
    write_whole_file(folder / "link", "three");
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(text_of(folder / "a") == "three");
    CHECK_THROWS_AS(write_whole_file(folder / "sub", "x"), sim::ConfigError);
    CHECK_THROWS_AS(write_whole_file(folder / "no" / "x", "x"), sim::ConfigError);
    CHECK_THROWS_AS(write_whole_file("/dev/full", "x"), sim::ConfigError);
    const std::filesystem::directory_iterator all(folder);
    CHECK(std::distance(begin(all), end(all)) == 3);
    std::filesystem::remove_all(folder);
}

TEST_CASE("text that XML can hold") {
    CHECK(xml_text("plain <&> \t\n \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80") ==
          "plain <&> \t\n \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    const std::string r = "\xef\xbf\xbd";
    CHECK(xml_text(std::string("a\0b\x1b", 4)) == "a" + r + "b" + r);
    CHECK(xml_text("\xff\xc3") == r + r);
    CHECK(xml_text("\xc0\x80") == r + r);          // overlong
    CHECK(xml_text("\xe0\x80\x80") == r + r + r);  // overlong
    CHECK(xml_text("\xed\xa0\x80") == r + r + r);  // surrogate
    CHECK(xml_text("\xef\xbf\xbf") == r + r + r);  // U+FFFF
    CHECK(xml_text("\xf4\x90\x80\x80") == r + r + r + r);
}

TEST_CASE("words of a command line for a shell") {
    CHECK(shell_words({"hvsim", "run", "a b", "vm[0].ram=\"1\"", "it's", ""}) ==
          "hvsim run 'a b' 'vm[0].ram=\"1\"' 'it'\\''s' ''");
}

TEST_CASE("the documents have the table of exit codes, which has every subcommand") {
    CHECK(text_of(std::string(HVSIM_SOURCE_DIR) + "/docs/ci.md").find(exit_code_table()) !=
          std::string::npos);
    std::ostringstream out, err;
    const Surroundings surroundings{out, err, {}, {}};
    run_program({"--help"}, surroundings);
    std::istringstream help(out.str().substr(out.str().find("Subcommands:")));
    std::string line;
    std::getline(help, line);
    std::size_t commands = 0;
    while (std::getline(help, line) && line.starts_with("  ")) {
        if (line[2] == ' ') continue;  // a description goes on
        const std::string name = line.substr(2, line.find(' ', 2) - 2);
        CAPTURE(name);
        // A new subcommand needs a row in app/exit_codes.h, and docs/ci.md the table anew.
        CHECK(std::any_of(kExitCodes.begin(), kExitCodes.end(),
                          [&](const ExitCodeRow& row) { return row.command == name; }));
        ++commands;
    }
    CHECK(commands == kExitCodes.size());
}
