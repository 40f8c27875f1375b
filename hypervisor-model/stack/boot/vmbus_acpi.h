#pragma once
#include "devices/firmware/acpi_device.h"
#include "devices/firmware/memory_plan.h"

namespace hvsim::hv::boot {

/// How a child partition finds VMBus: a module device that owns the address space for VMBus
/// devices, and in it the bus, without resources of its own. A guest looks for the bus by its
/// string id and takes QWord windows of the nearest ancestor that has any; the windows hold no RAM,
/// I/O APIC or local APIC, because it hands out their lowest addresses first.
devices::firmware::AcpiDevice vmbus_acpi_device(const devices::firmware::MemoryPlan& memory);

}  // namespace hvsim::hv::boot
