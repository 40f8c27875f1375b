// The VMBus device that a child partition finds in its ACPI namespace.
#include "hypervisor-model/stack/boot/vmbus_acpi.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>

#include "devices/byte_order.h"
#include "devices/firmware/acpi_tables.h"

using namespace hvsim;
using namespace hvsim::devices::firmware;

namespace {

std::size_t position(const std::vector<std::uint8_t>& bytes, std::string_view text) {
    const auto at =
        std::search(bytes.begin(), bytes.end(), text.begin(), text.end(),
                    [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); });
    return at == bytes.end() ? std::string_view::npos
                             : static_cast<std::size_t>(at - bytes.begin());
}

}  // namespace

TEST_CASE("VMBus stands in a module device with a low and a high window, clear of RAM and APICs") {
    for (const std::uint64_t gibibytes : {1, 8, 200}) {
        MemoryPlanConfig plan;
        plan.ram_bytes = gibibytes * kGibibyte;
        AcpiConfig config;
        config.apic_ids = {0, 1};
        const MemoryPlan memory = plan_memory(plan);
        config.devices = {hv::boot::vmbus_acpi_device(memory)};
        const AcpiImage image = build_acpi(config);
        const std::vector<std::uint8_t>& dsdt = image.find("DSDT")->bytes;
        const std::size_t module = position(dsdt, "VMOD");
        const std::size_t bus = position(dsdt, "VMBS");
        REQUIRE(module != std::string_view::npos);
        REQUIRE(bus != std::string_view::npos);
        CHECK(module < bus);
        // The id is a string with exactly this spelling.
        CHECK(position(dsdt, std::string_view("_HID\x0dVMBus\0", 11)) > bus);
        // Both windows, ranges ascending, between the module's name and the bus.
        const std::size_t low = position(dsdt, std::string_view("\x8a\x2b\0", 3));
        REQUIRE(low < bus);
        CHECK(module < low);
        CHECK(devices::load_le<std::uint64_t>(dsdt, low + 14) == 0xf8000000);
        CHECK(devices::load_le<std::uint64_t>(dsdt, low + 22) == 0xfebfffff);
        const std::size_t high = low + 46;
        CHECK(dsdt[high] == 0x8a);
        const auto base = devices::load_le<std::uint64_t>(dsdt, high + 14);
        CHECK(base >= memory.high_ram.end());
        CHECK(base % kGibibyte == 0);
        CHECK(devices::load_le<std::uint64_t>(dsdt, high + 22) == base + 512 * kMebibyte - 1);
    }
}
