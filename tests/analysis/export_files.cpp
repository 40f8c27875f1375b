// What exports leave behind: bad traces, outputs that cannot be written, memory.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <fstream>
#include <functional>

#include "analysis/export/export.h"
#include "made_trace.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::analysis;

namespace {

std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::filesystem::path empty_folder(const char* name) {
    const auto folder = made::scratch(name);
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    return folder;
}

std::size_t entries(const std::filesystem::path& folder) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
    return count;
}

std::string failure(const ExportRequest& request) {
    try {
        export_trace(request);
    } catch (const sim::ConfigError& error) {
        return error.what();
    }
    return {};
}

/// Every format, into a folder.
std::vector<ExportRequest> formats(const std::filesystem::path& trace,
                                   const std::filesystem::path& folder) {
    return {{.trace = trace, .perfetto = folder / "p"},
            {.trace = trace, .chrome_json = folder / "j"},
            {.trace = trace, .csv = folder / "c"},
            {.trace = trace, .sqlite = folder / "s"}};
}

std::filesystem::path long_trace(const std::string& name, std::uint64_t events) {
    const auto path = made::scratch(name);
    made::Maker made(path);
    // Like real ones, the numbers do not compress well.
    for (sim::Time time = 0; made.events() < events; time += 20 * sim::kMicrosecond)
        made.request(time, time * 0x9e3779b97f4a7c15u);
    made.finish();
    return path;
}

/// Runs it in a child process; its exit code and greatest memory (KiB).
struct Child {
    int code = -1;
    long kibibytes = 0;
};
Child in_child(const std::function<int()>& work) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int code = 99;
        try {
            code = work();
        } catch (...) {
            code = 98;
        }
        _exit(code);
    }
    int status = 0;
    rusage usage{};
    REQUIRE(wait4(child, &status, 0, &usage) == child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, usage.ru_maxrss};
}

}  // namespace

TEST_CASE("a trace that ends early is exported up to there, and that is said") {
    const auto whole = long_trace("long.trace", 100'000);
    const std::string bytes = content(whole);
    const auto cut = made::scratch("cut.trace");
    std::ofstream(cut, std::ios::binary) << bytes.substr(0, bytes.size() * 3 / 4);
    const auto folder = empty_folder("cut");
    for (const ExportRequest& request : formats(cut, folder)) {
        const ExportResult result = export_trace(request);
        CHECK(result.status == sim::TraceStatus::truncated);
        CHECK(result.events >= 65536);
        CHECK(result.events < 100'000);
        CHECK(result.end_text.starts_with("the trace ends early, after "));
    }
    CHECK(entries(folder) == 4);
    CHECK(content(folder / "c" / "trace.csv").find("\"end\",\"the trace ends early, after ") !=
          std::string::npos);
}

TEST_CASE("what is no trace leaves nothing behind") {
    const auto folder = empty_folder("foreign");
    const auto foreign = made::scratch("foreign.txt");
    std::ofstream(foreign) << "a text";
    for (const ExportRequest& request : formats(foreign, folder))
        CHECK(failure(request).find("is not a trace file") != std::string::npos);
    for (const ExportRequest& request : formats(folder / "absent", folder))
        CHECK(failure(request).find("cannot be opened") != std::string::npos);
    CHECK(entries(folder) == 0);
}

TEST_CASE("outputs that cannot be written") {
    const auto trace = made::small("unwritable.trace");
    for (const ExportRequest& request : formats(trace, "/no/such/folder"))
        CHECK(failure(request).starts_with("cannot "));
    const auto folder = empty_folder("taken");
    for (const char* name : {"p", "j", "s"}) std::filesystem::create_directory(folder / name);
    std::ofstream(folder / "c") << "a file";
    for (const ExportRequest& request : formats(trace, folder))
        CHECK(failure(request).starts_with("cannot "));
    CHECK(entries(folder) == 4);
    CHECK(failure({.trace = trace, .perfetto = "/dev/full"}) ==
          "cannot write /dev/full: No space left on device");
    CHECK(std::filesystem::is_character_file("/dev/full"));
}

TEST_CASE("where there is no more room nothing half-written stays") {
    const auto trace = long_trace("room.trace", 20'000);
    const auto folder = empty_folder("room");
    std::ofstream(folder / "p") << "of an earlier export";
    for (const ExportRequest& request : formats(trace, folder)) {
        const Child child = in_child([&request] {
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{200'000, 200'000};
            if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
            const std::string text = failure(request);
            return text.starts_with("cannot write ") ? 0 : 4;
        });
        CHECK(child.code == 0);
    }
    CHECK(entries(folder) == 1);
    CHECK(content(folder / "p") == "of an earlier export");
    // With room the file takes the place of the earlier one.
    CHECK(failure({.trace = trace, .perfetto = folder / "p"}).empty());
    CHECK(content(folder / "p").size() > 200'000);
}

TEST_CASE("a link stays, and what it leads to is replaced") {
    const auto trace = made::small("link.trace");
    const auto folder = empty_folder("link");
    std::ofstream(folder / "target") << "old";
    std::filesystem::create_symlink("target", folder / "link");
    export_trace({.trace = trace, .perfetto = folder / "link"});
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(content(folder / "target").size() > 1000);
    CHECK(entries(folder) == 2);
}

TEST_CASE("a trace of a million events takes no more memory than one of a hundred thousand") {
    const auto small = long_trace("100k.trace", 100'000), great = long_trace("1m.trace", 1'000'000);
    const auto folder = empty_folder("memory");
    const auto small_requests = formats(small, folder), great_requests = formats(great, folder);
    constexpr long kLittle = 4096;  // KiB; the great export itself has over a hundred times that
    for (const std::size_t format : {0, 1, 2}) {
        CAPTURE(format);
        const auto memory = [](const ExportRequest& request) {
            const Child child = in_child([&request] { return failure(request).empty() ? 0 : 1; });
            REQUIRE(child.code == 0);
            return child.kibibytes;
        };
        CHECK(memory(great_requests[format]) < memory(small_requests[format]) + kLittle);
    }
    CHECK(std::filesystem::file_size(folder / "p") > 50'000'000);
    std::filesystem::remove_all(folder);
}
