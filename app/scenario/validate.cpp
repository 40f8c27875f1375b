#include "app/scenario/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "app/pattern.h"
#include "app/scenario/host_model.h"
#include "app/scenario/quantity.h"
#include "app/statistic_demand.h"
#include "devices/firmware/flat_loader.h"

namespace hvsim::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFileSink = "file:";
constexpr std::size_t kNameLength = 32;

void resolve(fs::path& path, const fs::path& folder) {
    if (!path.empty()) path = (folder / path).lexically_normal();
}

void resolve_sink(std::string& sink, const fs::path& folder) {
    if (!sink.starts_with(kFileSink)) return;
    fs::path file = sink.substr(kFileSink.size());
    resolve(file, folder);
    sink = std::string(kFileSink) + file.string();
}

/// "FILE WORDS": only the file is relative to the folder.
void resolve_module(std::string& module, const fs::path& folder) {
    const std::size_t blank = std::min(module.find(' '), module.size());
    fs::path file = module.substr(0, blank);
    resolve(file, folder);
    module = file.string() + module.substr(blank);
}

bool good_name(const std::string& name) {
    return !name.empty() && name.size() <= kNameLength &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
           });
}

class Validator {
  public:
    Validator(const Scenario& scenario, bool check_files)
        : scenario_(scenario), check_files_(check_files) {}

    void run() const {
        check_shape();
        check_features();
        check_host();
        check_vms();
        check_memory();
        check_inputs();
        check_events();
        check_expectations();
    }

  private:
    [[noreturn]] void fail(const std::string& path, const std::string& problem,
                           std::string hint = {}) const {
        throw sim::ConfigError(scenario_.where(path), fmt::format("{}: {}", path, problem),
                               std::move(hint));
    }

    void check_shape() const {
        const bool hypervisor = scenario_.hypervisor.has_value();
        if (hypervisor && scenario_.boot)
            fail("boot", "a machine with [hypervisor] boots its [[vm]]s",
                 "remove [hypervisor] for a bare machine, or [boot]");
        if (hypervisor && scenario_.vms.empty())
            fail("hypervisor", "there is no [[vm]] for it to run", "add a [[vm]] section");
        if (!hypervisor && !scenario_.vms.empty())
            fail("vm[0]", "there is no hypervisor to run it", "add a [hypervisor] section");
        if (!hypervisor && !scenario_.boot)
            throw sim::ConfigError({scenario_.file.string(), 0, 0}, "nothing would run",
                                   "add [hypervisor] and [[vm]], or [boot] for a bare machine");
    }

    void check_features() const {
        const HostConfig& host = scenario_.host;
        const bool intel = host.vendor == Vendor::intel;
        if (host_model(host).vendor != vendor_of(host.vendor)) {
            std::vector<std::string_view> names;
            for (const cpu::Model& model : cpu::models())
                if (model.vendor == vendor_of(host.vendor)) names.push_back(model.name);
            fail("host.model",
                 fmt::format("\"{}\" is not a processor of the vendor \"{}\"", host.model,
                             intel ? "intel" : "amd"),
                 fmt::format("it has: {}", fmt::join(names, ", ")));
        }
        if (host.disabled(intel ? Feature::svm : Feature::vmx))
            fail("host.disable", fmt::format("an {} processor has no {}", intel ? "Intel" : "AMD",
                                             intel ? "svm" : "vmx"));
        if (!scenario_.hypervisor) return;
        if (host.disabled(intel ? Feature::vmx : Feature::svm))
            fail("host.disable",
                 fmt::format("the hypervisor cannot run without {}", intel ? "vmx" : "svm"));
        if (host.disabled(Feature::slat))
            fail("host.disable", "the hypervisor cannot run without slat (nested paging)");
    }

    void check_file(const std::string& path, const fs::path& file) const {
        std::error_code error;
        if (!check_files_ || file.empty() || fs::is_regular_file(file, error)) return;
        const bool made = file.string().find(".cache/guest") != std::string::npos;
        fail(path, fmt::format("there is no file {}", file.string()),
             made ? "scripts/make-guest makes the guest's kernel and images"
                  : "a path is relative to the scenario's folder");
    }

    void check_sink(const std::string& path, const std::string& sink) const {
        if (sink == "stdout" || sink == "none") return;
        if (sink.starts_with(kFileSink) && sink.size() > kFileSink.size()) return;
        fail(path,
             fmt::format("expected \"stdout\", \"none\" or \"file:PATH\", found \"{}\"", sink));
    }

    /// What a machine boots; `path` is its table, "boot" or "vm[0]".
    void check_boot(const BootConfig& boot, const std::string& path) const {
        check_file(path + ".kernel", boot.kernel);
        check_file(path + ".initramfs", boot.initramfs);
        check_sink(path + ".console", boot.console);
        check_boot_files(boot, path);
        for (std::size_t i = 0; i < boot.flat.registers.size(); ++i)
            if (!devices::firmware::parse_register(boot.flat.registers[i]))
                fail(fmt::format("{}.flat.registers[{}]", path, i),
                     fmt::format("expected \"NAME=VALUE\" with one of the 16 general registers, "
                                 "found \"{}\"",
                                 boot.flat.registers[i]));
    }

    /// Which files go with which protocol; what "auto" turns out to be is known only when it boots.
    void check_boot_files(const BootConfig& boot, const std::string& path) const {
        for (std::size_t i = 0; i < boot.modules.size(); ++i)
            check_file(fmt::format("{}.modules[{}]", path, i), module_file(boot.modules[i]));
        const bool flat = boot.protocol == BootProtocol::flat;
        const bool is_linux = boot.protocol == BootProtocol::linux_kernel;
        if (!boot.modules.empty() && (flat || is_linux))
            fail(path + ".modules", fmt::format("{} takes no modules", flat ? "flat" : "linux"),
                 flat ? "append them to the file" : "give an initramfs");
        if (!boot.initramfs.empty() && (flat || boot.protocol == BootProtocol::multiboot))
            fail(path + ".initramfs", "only linux and pvh take an initramfs",
                 "give it as a module");
        if (boot.command_line && flat)
            fail(path + ".command_line", "a flat binary has no command line", "use the registers");
        if (!flat && scenario_.locations.contains(path + ".flat"))
            fail(path + ".flat", "is for protocol = \"flat\" only");
    }

    void check_test_devices(const std::vector<TestDeviceConfig>& devices,
                            const std::string& prefix) const {
        std::set<TestDeviceKind> kinds;
        for (std::size_t i = 0; i < devices.size(); ++i) {
            const std::string path = fmt::format("{}test_device[{}].kind", prefix, i);
            const TestDeviceKind kind = devices[i].kind;
            if (!kinds.insert(kind).second) fail(path, "there is already one of this kind");
            if (!scenario_.boot && (kind == TestDeviceKind::pic || kind == TestDeviceKind::edu))
                fail(path, "a virtual machine has no device of this kind");
        }
    }

    void check_host() const {
        if (scenario_.boot) check_boot(*scenario_.boot, "boot");
        if (!scenario_.boot && !scenario_.test_devices.empty())
            fail("test_device[0]", "is for a bare machine only", "write [[vm.test_device]]");
        check_test_devices(scenario_.test_devices, "");
        const std::uint32_t entries = scenario_.host.iommu.iotlb_entries;
        if (!std::has_single_bit(entries))
            fail("host.iommu.iotlb_entries",
                 fmt::format("expected a power of two, found integer {}", entries));
    }

    void check_vms() const {
        std::set<std::string> names;
        std::set<std::string> in_place;
        for (std::size_t i = 0; i < scenario_.vms.size(); ++i) {
            const VmConfig& vm = scenario_.vms[i];
            const std::string path = fmt::format("vm[{}]", i);
            if (!good_name(vm.name))
                fail(path + ".name",
                     fmt::format("expected 1 to {} letters, digits, - or _, found \"{}\"",
                                 kNameLength, vm.name));
            if (!names.insert(vm.name).second)
                fail(path + ".name", fmt::format("another VM is called \"{}\"", vm.name));
            check_boot(vm.boot, path);
            check_test_devices(vm.test_devices, path + ".");
            check_disks(vm, path, in_place);
        }
    }

    void check_disks(const VmConfig& vm, const std::string& path,
                     std::set<std::string>& in_place) const {
        std::set<std::uint32_t> luns;
        for (std::size_t i = 0; i < vm.disks.size(); ++i) {
            const DiskConfig& disk = vm.disks[i];
            const std::string disk_path = fmt::format("{}.disk[{}]", path, i);
            check_file(disk_path + ".image", disk.image);
            if (!luns.insert(disk.lun).second)
                fail(disk_path + ".lun", fmt::format("another disk has logical unit {}", disk.lun));
            if (disk.writable == DiskAccess::in_place &&
                !in_place.insert(disk.image.string()).second)
                fail(disk_path + ".image", "another disk writes this image in place");
        }
    }

    void check_memory() const {
        std::uint64_t sum = 0;
        for (const VmConfig& vm : scenario_.vms) sum += vm.ram;
        if (sum >= scenario_.host.ram)
            fail("host.ram", fmt::format("{} cannot hold the VMs' {} and the hypervisor",
                                         format_size(scenario_.host.ram), format_size(sum)));
    }

    const VmConfig& vm_called(const std::string& path, const std::string& name) const {
        if (name.empty()) return scenario_.vms.front();
        for (const VmConfig& vm : scenario_.vms)
            if (vm.name == name) return vm;
        fail(path, fmt::format("there is no VM called \"{}\"", name));
    }

    void check_inputs() const {
        for (std::size_t i = 0; i < scenario_.console.inputs.size(); ++i) {
            const ConsoleInputConfig& input = scenario_.console.inputs[i];
            const std::string path = fmt::format("console.input[{}]", i);
            if (!input.vm.empty()) vm_called(path + ".vm", input.vm);
            check_pattern(path + ".after", input.after);
        }
    }

    void check_events() const {
        for (std::size_t i = 0; i < scenario_.events.size(); ++i) {
            const EventConfig& event = scenario_.events[i];
            const std::string path = fmt::format("event[{}]", i);
            if (scenario_.vms.empty()) fail(path, "a bare machine has no such events");
            const VmConfig& vm = vm_called(path + ".vm", event.vm);
            const bool adds = event.action == EventAction::add_disk;
            if (adds && event.image.empty()) fail(path, "add-disk needs an image");
            if (!adds && !event.image.empty()) fail(path + ".image", "remove-disk takes no image");
            if (adds) check_file(path + ".image", event.image);
            if (!adds && !has_disk(vm, event))
                fail(path + ".lun",
                     fmt::format("VM \"{}\" has no disk {} at that time", vm.name, event.lun));
        }
    }

    /// Whether the disk of a removal is there from the start or added before.
    bool has_disk(const VmConfig& vm, const EventConfig& removal) const {
        for (const DiskConfig& disk : vm.disks)
            if (disk.lun == removal.lun) return true;
        return std::any_of(
            scenario_.events.begin(), scenario_.events.end(), [&](const EventConfig& event) {
                const std::string& name = event.vm.empty() ? scenario_.vms[0].name : event.vm;
                return event.action == EventAction::add_disk && name == vm.name &&
                       event.lun == removal.lun && event.at < removal.at;
            });
    }

    void check_pattern(const std::string& path, const std::string& text) const {
        try {
            const Pattern pattern(text);
        } catch (const sim::ConfigError& error) {
            fail(path, error.what());
        }
    }

    void check_statistic(const std::string& path, const std::string& text) const {
        try {
            const StatisticDemand demand(text);
        } catch (const sim::ConfigError& error) {
            fail(path, error.what(), error.hint());
        }
    }

    void check_expectations() const {
        const ExpectConfig& expect = scenario_.expect;
        for (std::size_t i = 0; i < expect.console.size(); ++i)
            check_pattern(fmt::format("expect.console[{}]", i), expect.console[i]);
        for (std::size_t i = 0; i < expect.absent.size(); ++i)
            check_pattern(fmt::format("expect.absent[{}]", i), expect.absent[i]);
        for (std::size_t i = 0; i < expect.statistics.size(); ++i)
            check_statistic(fmt::format("expect.statistics[{}]", i), expect.statistics[i]);
        if (expect.exit_code && expect.end != ExpectedEnd::exit)
            fail("expect.exit_code", "needs the end \"exit\"", "remove expect.end");
        if (expect.end == ExpectedEnd::exit && !can_exit())
            fail(expect.exit_code ? "expect.exit_code" : "expect.end",
                 "there is no device to exit by",
                 scenario_.boot ? "add a [[test_device]] of kind \"debug-exit\""
                                : "add a [[vm.test_device]] of kind \"debug-exit\" to each VM");
        if (expect.end == ExpectedEnd::console && expect.console.empty())
            fail("expect.end", "\"console\" needs patterns to wait for", "give expect.console");
    }

    static bool has_exit(const std::vector<TestDeviceConfig>& devices) {
        return std::any_of(devices.begin(), devices.end(), [](const TestDeviceConfig& device) {
            return device.kind == TestDeviceKind::debug_exit;
        });
    }
    bool can_exit() const {
        if (scenario_.boot) return has_exit(scenario_.test_devices);
        return std::all_of(scenario_.vms.begin(), scenario_.vms.end(),
                           [](const VmConfig& vm) { return has_exit(vm.test_devices); });
    }

    const Scenario& scenario_;
    bool check_files_;
};

/// What a machine boots, relative to the scenario's folder.
void resolve(BootConfig& boot, const fs::path& folder) {
    resolve(boot.kernel, folder);
    resolve(boot.initramfs, folder);
    resolve_sink(boot.console, folder);
    for (std::string& module : boot.modules) resolve_module(module, folder);
}

}  // namespace

void complete(Scenario& scenario) {
    const fs::path folder = scenario.file.parent_path();
    if (scenario.boot) resolve(*scenario.boot, folder);
    if (scenario.expect.exit_code && !scenario.locations.contains("expect.end"))
        scenario.expect.end = ExpectedEnd::exit;
    for (std::size_t i = 0; i < scenario.vms.size(); ++i) {
        VmConfig& vm = scenario.vms[i];
        resolve(vm.boot, folder);
        for (std::size_t j = 0; j < vm.disks.size(); ++j) {
            resolve(vm.disks[j].image, folder);
            if (!scenario.locations.contains(fmt::format("vm[{}].disk[{}].lun", i, j)))
                vm.disks[j].lun = static_cast<std::uint32_t>(j);
        }
    }
    for (EventConfig& event : scenario.events) resolve(event.image, folder);
}

void validate(const Scenario& scenario, bool check_files) {
    Validator(scenario, check_files).run();
}

}  // namespace hvsim::app
