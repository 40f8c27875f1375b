#include "devices/firmware/dsdt.h"

#include <fmt/format.h>

#include "sim/error.h"

namespace hvsim::devices::firmware {

namespace {

using aml::Aml;

Aml id_aml(const std::string& id) {
    return aml::is_eisa_id(id) ? aml::eisa_id(id) : aml::string(id);
}

struct ResourceEncoder {
    Aml operator()(const AcpiWindow& window) const {
        if (window.length == 0) return {};
        return aml::qword_memory(window.base, window.length, aml::WindowUse::producer);
    }
    Aml operator()(const AcpiMemory& memory) const {
        return aml::memory32_fixed(memory.base, memory.length);
    }
    Aml operator()(const AcpiPorts& ports) const { return aml::io_ports(ports.base, ports.length); }
    Aml operator()(const AcpiIrq& irq) const { return aml::isa_irq(irq.irq); }
};

AcpiDevice serial_port() {
    AcpiDevice device;
    device.name = "COM1";
    device.id = "PNP0501";
    device.unique_id = 1;
    device.has_resources = true;
    device.resources = {AcpiPorts{0x3f8, 8}, AcpiIrq{4}};
    return device;
}

AcpiDevice real_time_clock() {
    AcpiDevice device;
    device.name = "RTC0";
    device.id = "PNP0B00";
    device.has_resources = true;
    device.resources = {AcpiPorts{0x70, 2}, AcpiIrq{8}};
    return device;
}

AcpiDevice processor(std::size_t index) {
    AcpiDevice device;
    device.name = fmt::format("C{:03X}", index);
    device.id = "ACPI0007";
    device.unique_id = index;
    return device;
}

}  // namespace

Aml device_aml(const AcpiDevice& device) {
    Aml terms = aml::named("_HID", id_aml(device.id));
    const auto add = [&terms](const Aml& more) {
        terms.insert(terms.end(), more.begin(), more.end());
    };
    if (!device.compatible.empty()) add(aml::named("_CID", id_aml(device.compatible)));
    if (!device.description.empty()) add(aml::named("_DDN", aml::string(device.description)));
    if (device.unique_id) add(aml::named("_UID", aml::integer(*device.unique_id)));
    if (device.status)
        add(aml::method("_STA", 0, false, aml::return_value(aml::integer(*device.status))));
    if (device.has_resources) {
        Aml resources;
        for (const AcpiResource& resource : device.resources) {
            const Aml encoded = std::visit(ResourceEncoder{}, resource);
            resources.insert(resources.end(), encoded.begin(), encoded.end());
        }
        add(aml::named("_CRS", aml::resource_template(resources)));
    }
    for (const AcpiDevice& child : device.children) add(device_aml(child));
    return aml::device(device.name, terms);
}

Aml dsdt_aml(const AcpiConfig& config) {
    // SLP_TYPa, SLP_TYPb, two reserved (ACPI 6.4 7.4.2.6).
    const Aml sleep_type = aml::integer(config.pm.s5_sleep_type);
    const Aml s5 =
        aml::named("_S5", aml::package({sleep_type, sleep_type, aml::integer(0), aml::integer(0)}));
    Aml devices;
    const auto add = [&devices](const AcpiDevice& device) {
        const Aml encoded = device_aml(device);
        devices.insert(devices.end(), encoded.begin(), encoded.end());
    };
    if (config.processor_devices) {
        SIM_ASSERT(config.apic_ids.size() <= 0x1000);
        for (std::size_t i = 0; i < config.apic_ids.size(); ++i) add(processor(i));
    }
    if (config.com1) add(serial_port());
    if (config.rtc) add(real_time_clock());
    for (const AcpiDevice& device : config.devices) add(device);
    return aml::concat({s5, aml::scope("_SB", devices)});
}

}  // namespace hvsim::devices::firmware
