#include "hypervisor-model/stack/boot/vmbus_acpi.h"

namespace hvsim::hv::boot {

using devices::firmware::AcpiDevice;
using devices::firmware::AcpiWindow;

AcpiDevice vmbus_acpi_device(const devices::firmware::MemoryPlan& memory) {
    AcpiDevice bus;
    bus.name = "VMBS";
    bus.id = "VMBus";
    bus.description = "VMBUS";
    bus.unique_id = 0;
    bus.status = 0xf;  // present, enabled, shown, working (ACPI 6.4 6.3.7)
    bus.has_resources = true;

    AcpiDevice module;
    module.name = "VMOD";
    module.id = "ACPI0004";
    module.unique_id = 0;
    module.has_resources = true;
    module.resources = {AcpiWindow{memory.low_mmio.base, memory.low_mmio.length},
                        AcpiWindow{memory.high_mmio.base, memory.high_mmio.length}};
    module.children = {bus};
    return module;
}

}  // namespace hvsim::hv::boot
