#include "devices/firmware/boot_image.h"

#include "devices/firmware/elf_file.h"
#include "devices/firmware/linux_loader.h"
#include "devices/firmware/multiboot_loader.h"
#include "devices/firmware/pvh_loader.h"

namespace hvsim::devices::firmware {
namespace {

constexpr const char* kLinuxCommandLine = "console=ttyS0";

BootProtocol protocol_of(const BootImage& image, const KernelRequest& request) {
    if (image.protocol != BootProtocol::automatic) return image.protocol;
    if (is_linux_kernel(request.kernel)) return BootProtocol::linux_kernel;
    if (has_multiboot_header(request.kernel)) return BootProtocol::multiboot;
    if (is_elf(request.kernel)) return BootProtocol::pvh;
    fail_kernel(request, "neither a Linux bzImage, a multiboot kernel nor ELF",
                "for a flat binary say protocol = \"flat\"");
}

void add_module(KernelRequest& request, const BootFile& file) {
    request.modules.push_back({file.bytes, file.name, file.words});
}

LinuxBootState load_linux_image(const BootImage& image, const KernelRequest& base,
                                GuestMemoryWriter& memory) {
    LinuxBootRequest request;
    request.kernel = base.kernel;
    request.initramfs = image.initramfs.bytes;
    request.command_line = image.command_line.value_or(kLinuxCommandLine);
    request.memory = base.memory;
    request.acpi_rsdp = base.acpi_rsdp;
    request.kernel_name = base.kernel_name;
    request.initramfs_name = image.initramfs.name;
    request.where = base.where;
    return load_linux(request, memory);
}

}  // namespace

StartState load_boot_image(const BootImage& image, const MemoryPlan& plan, std::uint64_t acpi_rsdp,
                           GuestMemoryWriter& memory) {
    KernelRequest request;
    request.kernel = image.kernel.bytes;
    request.kernel_name = image.kernel.name;
    request.memory = plan;
    request.acpi_rsdp = acpi_rsdp;
    request.where = image.where;
    const BootProtocol protocol = protocol_of(image, request);
    if (protocol == BootProtocol::linux_kernel)
        return start_state(load_linux_image(image, request, memory));
    if (protocol == BootProtocol::flat) return load_flat(request, image.flat, memory);
    if (!image.initramfs.name.empty()) add_module(request, image.initramfs);
    for (const BootFile& file : image.modules) add_module(request, file);
    const bool pvh = protocol == BootProtocol::pvh;
    request.command_line = image.command_line.value_or(pvh ? kLinuxCommandLine : "");
    return pvh ? load_pvh(request, memory) : load_multiboot(request, memory);
}

}  // namespace hvsim::devices::firmware
