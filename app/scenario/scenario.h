#pragma once
// A scenario as the composition root sees it: plain structs, filled and checked by reader.h. What
// each field means, its unit, default and range stand in the schema (schema.cpp, docs/scenario.md);
// `hvsim scenario --explain` prints them.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "devices/firmware/boot_image.h"
#include "devices/testing/test_board.h"
#include "sim/error.h"
#include "sim/time.h"
#include "sim/timing.h"

namespace hvsim::app {

enum class Vendor : std::uint8_t { intel, amd };
enum class Feature : std::uint8_t { vmx, svm, nx, slat, x2apic, pcid, invpcid };
enum class DiskFormat : std::uint8_t { raw, vhd };
enum class DiskAccess : std::uint8_t { overlay, in_place, read_only };
enum class EventAction : std::uint8_t { remove_disk, add_disk };
/// How a run is meant to end. `console`: as soon as every expected pattern was seen.
enum class ExpectedEnd : std::uint8_t { poweroff, reboot, crash, halt, console, exit };
using devices::TestDeviceKind;
using devices::firmware::BootProtocol;
using FlatMode = devices::firmware::StartMode;

struct IommuConfig {
    bool enabled = false;
    std::uint32_t iotlb_entries = 0;
    std::uint16_t io_apic_requester = 0;
};

/// Latencies that replace the timing profile's.
struct HostDiskConfig {
    std::optional<sim::Duration> read_latency;
    std::optional<sim::Duration> write_latency;
    std::optional<sim::Duration> flush_latency;
    std::optional<sim::Duration> page_transfer;
};

struct HostConfig {
    Vendor vendor = Vendor::intel;
    std::string model;  ///< of the processors; empty = by vendor (host_model.h)
    std::uint32_t processors = 0;
    std::uint64_t ram = 0;  ///< bytes
    std::vector<Feature> disable;
    std::string timing;     ///< as written; empty = by model
    std::int64_t date = 0;  ///< real-time clock at time 0, seconds since 1970 (UTC)
    sim::Duration quantum = 0;
    std::uint64_t code_buffer = 0;  ///< bytes, each execution engine's
    IommuConfig iommu;
    HostDiskConfig disk;

    bool disabled(Feature feature) const {
        for (const Feature off : disable)
            if (off == feature) return true;
        return false;
    }
};

struct HypervisorConfig {
    bool eoi_assist = false;
    bool deprecate_auto_eoi = false;
    bool direct_timers = false;
    bool x2apic = false;
    bool tlb_flush_hypercalls = false;
    bool ipi_hypercalls = false;
    bool frequency_msrs = false;
    bool invariant_tsc = false;
    sim::Duration scheduler_slice = 0;
};

struct DiskConfig {
    std::filesystem::path image;
    DiskFormat format = DiskFormat::raw;
    DiskAccess writable = DiskAccess::overlay;
    std::uint32_t lun = 0;
};

struct VmbusConfig {
    std::uint32_t max_version = 0;  ///< major << 16 | minor
};

/// Where and how a flat binary starts.
struct FlatBootConfig {
    FlatMode mode = FlatMode::real;
    std::uint64_t load = 0;
    std::optional<std::uint64_t> entry;  ///< nothing: where it is loaded
    std::vector<std::string> registers;  ///< "rax=1"
};

/// What a machine boots: the bare one by [boot], a virtual one by its [[vm]].
struct BootConfig {
    std::filesystem::path kernel;
    BootProtocol protocol = BootProtocol::automatic;
    std::filesystem::path initramfs;          ///< empty = none
    std::vector<std::string> modules;         ///< "FILE WORDS", as written
    std::optional<std::string> command_line;  ///< nothing: by protocol
    std::string console;  ///< "stdout", "none" or "file:PATH" (PATH made relative to the scenario)
    FlatBootConfig flat;
};

/// A module's file, and the words behind it.
inline std::filesystem::path module_file(const std::string& module) {
    return module.substr(0, module.find(' '));
}
inline std::string module_words(const std::string& module) {
    const std::size_t blank = module.find(' ');
    return blank == std::string::npos ? std::string() : module.substr(blank + 1);
}

struct TestDeviceConfig {
    TestDeviceKind kind = TestDeviceKind::debug_exit;
};

struct VmConfig {
    std::string name;
    std::uint32_t processors = 0;
    std::uint64_t ram = 0;  ///< bytes
    BootConfig boot;
    VmbusConfig vmbus;
    std::vector<DiskConfig> disks;
    std::vector<TestDeviceConfig> test_devices;
};

/// Text typed on a console once a pattern was seen.
struct ConsoleInputConfig {
    std::string vm;  ///< empty = the first, or the bare machine
    std::string after;
    std::string text;
    sim::Duration pace = 0;  ///< between two bytes
};

struct ConsoleConfig {
    std::vector<ConsoleInputConfig> inputs;
};

/// Something the outside world does at a time.
struct EventConfig {
    sim::Time at = 0;
    EventAction action = EventAction::remove_disk;
    std::string vm;  ///< empty = the first
    std::uint32_t lun = 0;
    std::filesystem::path image;
    DiskFormat format = DiskFormat::raw;
    DiskAccess writable = DiskAccess::overlay;
};

struct ExpectConfig {
    std::vector<std::string> console;
    std::vector<std::string> absent;
    std::vector<std::string> statistics;  ///< each a StatisticDemand
    bool ordered = false;
    ExpectedEnd end = ExpectedEnd::poweroff;
    std::optional<std::uint32_t> exit_code;
    sim::Time deadline = 0;
};

/// One entry of the timing profile in force, as the report shows it.
struct TimingSource {
    std::string key;     ///< "exit.cpuid"
    std::string value;   ///< "520 cycles"
    std::string source;  ///< where the number is from; "estimate"; or the scenario's own location
};

struct Scenario {
    std::filesystem::path file;
    std::string text;  ///< of the file
    HostConfig host;
    std::optional<HypervisorConfig> hypervisor;
    std::optional<BootConfig> boot;
    std::vector<TestDeviceConfig> test_devices;
    std::vector<VmConfig> vms;
    ConsoleConfig console;
    std::vector<EventConfig> events;
    ExpectConfig expect;

    std::string timing_profile;  ///< the profile's own name
    sim::TimingProfile timing;   ///< profile, overridden by [host.disk] and [timing]
    std::vector<TimingSource> timing_sources;

    /// Where each key stands that the file gives, by full path ("vm[0].kernel").
    std::map<std::string, sim::SourceLocation> locations;
    /// The location of a key; when it was not given that of the table it would stand in, or else
    /// the file alone.
    sim::SourceLocation where(std::string path) const {
        for (;;) {
            if (const auto found = locations.find(path); found != locations.end())
                return found->second;
            const std::size_t cut = path.find_last_of(".[");
            if (cut == std::string::npos) return {file.string(), 0, 0};
            path.resize(cut);
        }
    }
    /// The name of a machine with a console: VM `index`, or the bare host ("host").
    std::string console_name(std::size_t index) const {
        return index < vms.size() ? vms[index].name : "host";
    }
};

}  // namespace hvsim::app
