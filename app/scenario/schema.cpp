#include "app/scenario/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/scenario/quantity.h"
#include "app/scenario/scenario.h"
#include "cpu/models/amd.h"
#include "cpu/models/intel.h"

namespace hvsim::app {
namespace {

using detail::open;
using detail::store;
using std::string_view;
using enum ValueType;

constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
constexpr Range kProcessors{1, 64};
constexpr Range kLun{0, 63};  // a synthetic SCSI controller has 64 addresses
constexpr Range kVmRam{64 * kMiB, 64 * kGiB, 2 * kMiB};
constexpr Range kHostRam{128 * kMiB, 256 * kGiB, 2 * kMiB};

// The words stand in the order of the enumerations in scenario.h.
constexpr string_view kVendors[] = {"intel", "amd"};
constexpr string_view kFeatures[] = {"vmx", "svm", "nx", "slat", "x2apic", "pcid", "invpcid"};
constexpr string_view kFormats[] = {"raw", "vhd"};
constexpr string_view kAccesses[] = {"overlay", "in-place", "read-only"};
constexpr string_view kActions[] = {"remove-disk", "add-disk"};
constexpr string_view kEnds[] = {"poweroff", "reboot", "crash", "halt", "console", "exit"};
constexpr string_view kProtocols[] = {"auto", "linux", "multiboot", "pvh", "flat"};
constexpr string_view kFlatModes[] = {"real", "protected", "long"};
constexpr string_view kTestDevices[] = {"debug-exit", "testdev",        "fw-cfg",
                                        "pic",        "hyperv-testdev", "edu"};
constexpr string_view kVersions[] = {"5.3", "5.2", "5.1", "5.0", "4.1",
                                     "4.0", "3.0", "2.4", "1.1", "0.13"};

constexpr auto kModels = [] {
    std::array<string_view, cpu::kIntelModels.size() + cpu::kAmdModels.size()> names{};
    auto next = names.begin();
    for (const cpu::Model& model : cpu::kIntelModels) *next++ = model.name;
    for (const cpu::Model& model : cpu::kAmdModels) *next++ = model.name;
    return names;
}();

void store_model(void* object, const Value& value) {
    static_cast<HostConfig*>(object)->model = kModels[std::get<std::uint64_t>(value)];
}

void store_version(void* object, const Value& value) {
    constexpr std::array<std::uint32_t, std::size(kVersions)> numbers{
        5 << 16 | 3, 5 << 16 | 2, 5 << 16 | 1, 5 << 16 | 0, 4 << 16 | 1,
        4 << 16 | 0, 3 << 16 | 0, 2 << 16 | 4, 1 << 16 | 1, 0 << 16 | 13};
    static_cast<VmbusConfig*>(object)->max_version = numbers[std::get<std::uint64_t>(value)];
}

constexpr Key kHost[] = {
    {"vendor",
     choice,
     nullptr,
     "Processor and chipset vendor: VT-x and VT-d, or AMD-V.",
     store<&HostConfig::vendor>,
     {},
     kVendors},
    {"model",
     choice,
     "",
     "Processor model: what CPUID and the capability MSRs announce, by server generation, and "
     "which timing profile comes with it. It must be of the vendor. Default: intel-cascadelake or "
     "amd-rome, by vendor.",
     store_model,
     {},
     kModels},
    {"processors", integer, "1", "Logical processors.", store<&HostConfig::processors>,
     kProcessors},
    {"ram", size, "2 GiB", "System memory.", store<&HostConfig::ram>, kHostRam},
    {"disable",
     choices,
     "",
     "Features the processors do not have. A hypervisor needs vmx or svm, and all the others.",
     store<&HostConfig::disable>,
     {},
     kFeatures},
    {"timing", string, "",
     "Timing profile: a file name ending in .toml, or the name of one in scenarios/profiles. "
     "Default: that of the processor model.",
     store<&HostConfig::timing>},
    {"date", date, "2024-01-01T00:00:00Z",
     "The real-time clock's date and time at the start (UTC).", store<&HostConfig::date>},
    {"quantum",
     duration,
     "10us",
     "How far a processor may run ahead of the others. What one does is seen by the others within "
     "this time.",
     store<&HostConfig::quantum>,
     {100 * sim::kNanosecond, sim::kMillisecond}},
    {"code_buffer",
     size,
     "64 MiB",
     "Memory for translated code, for each virtual processor; as much again for the guests of a "
     "bare machine's programs. It has no influence on results.",
     store<&HostConfig::code_buffer>,
     {32 * kMiB, kGiB, kMiB}},
};

constexpr Key kIommu[] = {
    {"enabled", boolean, "true",
     "An IOMMU (VT-d at 0xfed90000; an AMD host has none): the hypervisor, or what a bare machine "
     "boots, remaps DMA and interrupts by it.",
     store<&IommuConfig::enabled>},
    {"iotlb_entries",
     integer,
     "64",
     "Entries of the IOTLB, a power of two.",
     store<&IommuConfig::iotlb_entries>,
     {1, 65536}},
    {"io_apic_requester",
     integer,
     "0xf8",
     "PCI requester id of the I/O APIC's interrupts: bus 15:8, device 7:3, function 2:0.",
     store<&IommuConfig::io_apic_requester>,
     {0, 0xffff}},
};

constexpr Key kHostDisk[] = {
    {"read_latency",
     duration,
     "",
     "Replaces the timing profile's device.disk_read.",
     store<&HostDiskConfig::read_latency>,
     {0, sim::kSecond}},
    {"write_latency",
     duration,
     "",
     "Replaces the timing profile's device.disk_write.",
     store<&HostDiskConfig::write_latency>,
     {0, sim::kSecond}},
    {"flush_latency",
     duration,
     "",
     "Replaces the timing profile's device.disk_flush.",
     store<&HostDiskConfig::flush_latency>,
     {0, sim::kSecond}},
    {"page_transfer",
     duration,
     "",
     "Replaces the timing profile's device.disk_page (4 KiB).",
     store<&HostDiskConfig::page_transfer>,
     {4096, 4096 * sim::kMicrosecond}},
};

constexpr Key kHypervisor[] = {
    {"eoi_assist", boolean, "true", "Guests may skip EOIs by the VP assist page.",
     store<&HypervisorConfig::eoi_assist>},
    {"deprecate_auto_eoi", boolean, "true", "Recommend that guests do not use auto-EOI.",
     store<&HypervisorConfig::deprecate_auto_eoi>},
    {"direct_timers", boolean, "true", "Synthetic timers may raise an interrupt directly.",
     store<&HypervisorConfig::direct_timers>},
    {"x2apic", boolean, "true", "Offer x2APIC to guests.", store<&HypervisorConfig::x2apic>},
    {"tlb_flush_hypercalls", boolean, "true", "Recommend hypercalls for remote TLB flushes.",
     store<&HypervisorConfig::tlb_flush_hypercalls>},
    {"ipi_hypercalls", boolean, "true", "Recommend hypercalls for interrupts between processors.",
     store<&HypervisorConfig::ipi_hypercalls>},
    {"frequency_msrs", boolean, "true", "Tell guests the TSC's and the APIC timer's frequency.",
     store<&HypervisorConfig::frequency_msrs>},
    {"invariant_tsc", boolean, "true", "Offer the invariant TSC to guests.",
     store<&HypervisorConfig::invariant_tsc>},
    {"scheduler_slice",
     duration,
     "10 ms",
     "How long a virtual processor runs while another waits for its logical processor.",
     store<&HypervisorConfig::scheduler_slice>,
     {100 * sim::kMicrosecond, sim::kSecond}},
};

/// [boot] and [[vm]] have the same keys: `Boot` finds the struct that they fill.
template <auto Boot, auto Member>
void store_boot(void* object, const Value& value) {
    store<Member>(Boot(object), value);
}
template <auto Boot>
constexpr std::array<Key, 6> kBootKeys{{
    {"kernel", path, nullptr, "What to boot.", store_boot<Boot, &BootConfig::kernel>},
    {"protocol",
     choice,
     "auto",
     "How: linux = a bzImage by its 64-bit protocol, multiboot = Multiboot 1 (ELF, or the header's "
     "addresses), pvh = ELF with a PVH entry point (as vmlinux has it), flat = bytes as the table "
     "flat says. auto = what the file's header says; never flat.",
     store_boot<Boot, &BootConfig::protocol>,
     {},
     kProtocols},
    {"initramfs", path, "", "linux, pvh: initial RAM file system.",
     store_boot<Boot, &BootConfig::initramfs>},
    {"modules", strings, "",
     "multiboot, pvh: files to load with the kernel, each with the words for it after a blank: "
     "\"FILE WORDS\".",
     store_boot<Boot, &BootConfig::modules>},
    {"command_line", string, "",
     "Kernel command line; multiboot puts the kernel's file name before it. Default: console=ttyS0 "
     "for "
     "linux and pvh, otherwise empty.",
     store_boot<Boot, &BootConfig::command_line>},
    {"console", string, "stdout", "Where the serial console goes: stdout, none or file:PATH.",
     store_boot<Boot, &BootConfig::console>},
}};

constexpr auto kBareBoot = [](void* object) { return object; };
constexpr auto kVmBoot = [](void* object) -> void* {
    return &static_cast<VmConfig*>(object)->boot;
};
constexpr std::array kBoot = kBootKeys<kBareBoot>;
void* open_vm_flat(void* object) {
    return &static_cast<VmConfig*>(object)->boot.flat;
}

constexpr Key kFlat[] = {
    {"mode",
     choice,
     "real",
     "The processor's mode: real, protected = 32 bit with flat segments, long = 64 bit with the "
     "first 4 GiB mapped one to one.",
     store<&FlatBootConfig::mode>,
     {},
     kFlatModes},
    {"load", integer, "0x7c00", "Physical address of the file's first byte.",
     store<&FlatBootConfig::load>},
    {"entry", integer, "", "Physical address of the first instruction. Default: the first byte.",
     store<&FlatBootConfig::entry>},
    {"registers", strings, "", "General registers that do not start as zero: \"rsp=0x7000\".",
     store<&FlatBootConfig::registers>},
};

constexpr Key kTestDevice[] = {
    {"kind",
     choice,
     nullptr,
     "debug-exit: writing port 0xf4 ends the machine with that exit code. testdev: a data latch at "
     "0xe0-0xe3, a flush port at 0xe4, a byte latch at 0xe8, one port for each of the 24 interrupt "
     "lines from 0x2000 on, 64 KiB of device memory at 0xff000000. fw-cfg: processors and RAM size "
     "at 0x510. pic: two 8259A at 0x20 and 0xa0 with vectors 0x08 and 0x70, wired to LINT0 of the "
     "first processor, which takes it (virtual wire mode). hyperv-testdev: commands to the "
     "SynIC at 0x3000, which makes routes to synthetic interrupts, and connections that send "
     "messages and events back (a bare machine has none and ignores them). pic and edu are for "
     "bare machines only. edu: PCI device 1234:11e8 at 00:05.0 behind a host bridge, with 1 MiB of "
     "memory at "
     "0xf8000000, MSI, INTA# at interrupt line 10, and DMA through the IOMMU where there is one.",
     store<&TestDeviceConfig::kind>,
     {},
     kTestDevices},
};

constexpr Key kOwnVm[] = {
    {"name", string, nullptr, "Name, of its own: letters, digits, - and _, at most 32.",
     store<&VmConfig::name>},
    {"processors", integer, "1", "Virtual processors.", store<&VmConfig::processors>, kProcessors},
    {"ram", size, "512 MiB", "Guest memory.", store<&VmConfig::ram>, kVmRam},
};
constexpr auto kVm = [] {
    constexpr auto& boot = kBootKeys<kVmBoot>;
    std::array<Key, std::size(kOwnVm) + boot.size()> keys{};
    std::copy(boot.begin(), boot.end(),
              std::copy(std::begin(kOwnVm), std::end(kOwnVm), keys.begin()));
    return keys;
}();

constexpr Key kVmbus[] = {
    {"max_version",
     choice,
     "5.3",
     "The newest VMBus protocol version the server accepts.",
     store_version,
     {},
     kVersions},
};

constexpr Key kDisk[] = {
    {"image", path, nullptr, "Disk image.", store<&DiskConfig::image>},
    {"format", choice, "raw", "The image's format.", store<&DiskConfig::format>, {}, kFormats},
    {"writable",
     choice,
     "overlay",
     "Where writes go: overlay = memory of this run, in-place = the image, read-only = nowhere.",
     store<&DiskConfig::writable>,
     {},
     kAccesses},
    {"lun", integer, "", "SCSI logical unit. Default: the disk's position in the list, from 0.",
     store<&DiskConfig::lun>, kLun},
};

constexpr Key kConsoleInput[] = {
    {"vm", string, "", "The VM to type on. Default: the first, or the bare machine.",
     store<&ConsoleInputConfig::vm>},
    {"after", string, nullptr,
     "Pattern to wait for, in what is printed after the text before it was typed. Plain text, or "
     "after \"re:\" an ECMAScript regular expression, held against whole lines.",
     store<&ConsoleInputConfig::after>},
    {"text", string, nullptr, "What to type.", store<&ConsoleInputConfig::text>},
    {"pace",
     duration,
     "1 ms",
     "Time before each byte.",
     store<&ConsoleInputConfig::pace>,
     {0, sim::kSecond}},
};

constexpr Key kEvent[] = {
    {"at",
     duration,
     nullptr,
     "Virtual time of the event.",
     store<&EventConfig::at>,
     {0, kNoLimit - 1}},
    {"action", choice, nullptr, "What happens.", store<&EventConfig::action>, {}, kActions},
    {"vm", string, "", "The VM it happens to. Default: the first.", store<&EventConfig::vm>},
    {"lun", integer, nullptr, "The disk's logical unit.", store<&EventConfig::lun>, kLun},
    {"image", path, "", "add-disk: disk image.", store<&EventConfig::image>},
    {"format",
     choice,
     "raw",
     "add-disk: the image's format.",
     store<&EventConfig::format>,
     {},
     kFormats},
    {"writable",
     choice,
     "overlay",
     "add-disk: where writes go.",
     store<&EventConfig::writable>,
     {},
     kAccesses},
};

constexpr Key kExpect[] = {
    {"console", strings, "",
     "Patterns that must appear on the consoles: plain text within a line, or after \"re:\" an "
     "ECMAScript regular expression, held against whole lines.",
     store<&ExpectConfig::console>},
    {"absent", strings, "", "Patterns that must not appear.", store<&ExpectConfig::absent>},
    {"statistics", strings, "",
     "What must hold for the run's statistics when it has ended: \"NAME > NUMBER\" with ==, !=, <, "
     "<=, > or >=. The names are those in the report's JSON (hvsim run --json); in a name * stands "
     "for any characters but a dot, and statistics that it means are added up.",
     store<&ExpectConfig::statistics>},
    {"ordered", boolean, "false", "The patterns must appear in the given order.",
     store<&ExpectConfig::ordered>},
    {"end",
     choice,
     "poweroff",
     "How the run must end. console: it is stopped once every expected pattern was seen. exit: by "
     "a test device.",
     store<&ExpectConfig::end>,
     {},
     kEnds},
    {"exit_code",
     integer,
     "",
     "The code that a debug-exit device must be given. The end is then exit.",
     store<&ExpectConfig::exit_code>,
     {0, 0xffffffff}},
    {"deadline",
     duration,
     "60 s",
     "Virtual time at which the run is stopped as failed.",
     store<&ExpectConfig::deadline>,
     {sim::kMicrosecond, 1'000'000 * sim::kSecond}},
};

constexpr Section kSections[] = {
    {"", SectionKind::table, "", {}, nullptr},
    {"host", SectionKind::table, "The simulated server.", kHost, open<&Scenario::host>},
    {"host.iommu", SectionKind::table, "Its IOMMU.", kIommu, open<&HostConfig::iommu>},
    {"host.disk", SectionKind::table, "Its disks' speed.", kHostDisk, open<&HostConfig::disk>},
    {"hypervisor", SectionKind::optional,
     "The hypervisor and what it offers to guests. Without this section the machine is bare and "
     "boots [boot]; with it, it runs the [[vm]]s.",
     kHypervisor, open<&Scenario::hypervisor>},
    {"boot", SectionKind::optional, "What a bare machine boots.", kBoot, open<&Scenario::boot>},
    {"boot.flat", SectionKind::table, "How a flat binary starts.", kFlat, open<&BootConfig::flat>},
    {"test_device", SectionKind::array,
     "A device that test kernels expect, on a bare machine; one section for each.", kTestDevice,
     open<&Scenario::test_devices>},
    {"vm", SectionKind::array, "A virtual machine (child partition), one section for each.", kVm,
     open<&Scenario::vms>},
    {"vm.flat", SectionKind::table, "How a flat binary starts.", kFlat, open_vm_flat},
    {"vm.test_device", SectionKind::array, "A device that test kernels expect, in this machine.",
     kTestDevice, open<&VmConfig::test_devices>},
    {"vm.vmbus", SectionKind::table, "Its VMBus.", kVmbus, open<&VmConfig::vmbus>},
    {"vm.disk", SectionKind::array, "A disk on its synthetic SCSI controller.", kDisk,
     open<&VmConfig::disks>},
    {"console", SectionKind::table, "What is typed on the consoles.", {}, open<&Scenario::console>},
    {"console.input", SectionKind::array,
     "Text typed once a pattern was seen; a console's entries are taken in their order.",
     kConsoleInput, open<&ConsoleConfig::inputs>},
    {"event", SectionKind::array, "Something that happens at a virtual time.", kEvent,
     open<&Scenario::events>},
    {"expect", SectionKind::table, "What must happen for the run to count as met.", kExpect,
     open<&Scenario::expect>},
    {"timing",
     SectionKind::timing,
     "Single entries of the timing profile, replaced: exit.cpuid = { value = 520, unit = "
     "\"cycles\" }.",
     {},
     nullptr},
};

std::string words(std::span<const string_view> choices) {
    std::string text;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (i > 0) text += i + 1 == choices.size() ? " or " : ", ";
        text += fmt::format("\"{}\"", choices[i]);
    }
    return text;
}

std::string between(const Range& range, std::string (*format)(std::uint64_t)) {
    std::string text;
    if (range.least > 0 && range.greatest < kNoLimit - 1)
        text = fmt::format(" from {} to {}", format(range.least), format(range.greatest));
    else if (range.least > 0)
        text = fmt::format(" of at least {}", format(range.least));
    else if (range.greatest < kNoLimit - 1)
        text = fmt::format(" up to {}", format(range.greatest));
    if (range.multiple > 1) text += fmt::format(", a multiple of {}", format(range.multiple));
    return text;
}

std::string format_integer(std::uint64_t value) {
    return fmt::format("{}", value);
}

}  // namespace

std::span<const Section> schema() {
    return kSections;
}

std::string expected_form(const Key& key) {
    switch (key.type) {
        case boolean:
            return "true or false";
        case integer:
            if (key.range.least == 0 && key.range.greatest < kNoLimit)
                return fmt::format("an integer from 0 to {}", key.range.greatest);
            return "an integer" + between(key.range, format_integer);
        case size:
            return "a size" + between(key.range, format_size);
        case duration:
            return "a duration" + between(key.range, format_duration);
        case string:
            return "a string";
        case strings:
            return "an array of strings";
        case choice:
            return words(key.choices);
        case choices:
            return "an array of " + words(key.choices);
        case path:
            return "a file name (string)";
        case date:
            return "a date and time such as 2024-01-01T00:00:00Z";
    }
    return "a value";
}

std::string written_default(const Key& key) {
    if (key.fallback == nullptr) return "required";
    const string_view text = key.fallback;
    if (key.type == strings || key.type == choices) return "[]";
    if (text.empty()) return "none";
    const bool bare = key.type == boolean || key.type == integer || key.type == date;
    return bare ? std::string(text) : fmt::format("\"{}\"", text);
}

}  // namespace hvsim::app
