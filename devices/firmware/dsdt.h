#pragma once
#include "devices/firmware/acpi_tables.h"
#include "devices/firmware/aml.h"

namespace hvsim::devices::firmware {

/// One device with its children (ACPI 6.4 chapter 6).
aml::Aml device_aml(const AcpiDevice& device);
/// All terms of the DSDT: \_S5 and the devices under \_SB.
aml::Aml dsdt_aml(const AcpiConfig& config);

}  // namespace hvsim::devices::firmware
