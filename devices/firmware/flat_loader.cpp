#include "devices/firmware/flat_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "devices/byte_order.h"
#include "devices/firmware/page_tables.h"

namespace hvsim::devices::firmware {
namespace {

constexpr std::uint64_t kRealModeEnd = 0x100000;
constexpr std::uint64_t kTablesAddress = kLoaderModuleListAddress;  // free without modules
static_assert(kTablesAddress + kIdentityTablesSize <= kLoaderArea.end());
constexpr std::uint64_t kLongCode = 0x00af9b000000ffff;

constexpr std::string_view kNames[kBootRegisters] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                     "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                     "r12", "r13", "r14", "r15"};

StartState real_mode_start(std::uint64_t entry) {
    const BootSegment data{0, 0, 0xffff, 0x93};
    StartState state;
    const std::uint64_t base = entry > 0xffff ? entry & ~std::uint64_t{0xf} : 0;
    state.cs = {static_cast<std::uint16_t>(base >> 4), base, 0xffff, 0x9b};
    state.ds = state.es = state.ss = state.fs = state.gs = data;
    state.tr = {0, 0, 0xffff, 0x8b};
    state.ldtr = {0, 0, 0xffff, 0x82};
    state.idt_limit = 0x3ff;
    state.cr0 = 0x10;  // ET
    state.rip = entry - base;
    return state;
}

StartState long_mode_start(const KernelRequest& request, GuestMemoryWriter& memory,
                           std::uint64_t entry) {
    StartState state = protected_mode_start(request, memory, entry);
    std::vector<std::uint8_t> code(8);
    store_le<std::uint64_t>(code, 0, kLongCode);
    put_bytes(request, memory, kLoaderGdtAddress + state.cs.selector, code);
    put_bytes(request, memory, kTablesAddress, identity_page_tables(kTablesAddress));
    state.cs.attributes = 0xa09b;
    state.cr0 = 0x80000011;  // PG, ET, PE
    state.cr3 = kTablesAddress;
    state.cr4 = 0x20;    // PAE
    state.efer = 0x500;  // LMA, LME
    return state;
}

}  // namespace

std::optional<std::pair<BootRegister, std::uint64_t>> parse_register(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    std::string_view name = text.substr(0, equals);
    std::string_view digits = text.substr(equals + 1);
    std::string full(name);
    if (name.size() == 3 && name[0] == 'e') full[0] = 'r';
    if (name.size() == 2 && name[0] != 'r') full.insert(full.begin(), 'r');
    const auto* found = std::find(std::begin(kNames), std::end(kNames), full);
    if (found == std::end(kNames)) return std::nullopt;
    const bool hexadecimal = digits.starts_with("0x");
    if (hexadecimal) digits.remove_prefix(2);
    std::uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return std::pair{static_cast<BootRegister>(found - std::begin(kNames)), value};
}

StartState load_flat(const KernelRequest& request, const FlatStart& start,
                     GuestMemoryWriter& memory) {
    if (request.kernel.empty()) fail_kernel(request, "the file is empty");
    const AddressRange range{start.load_address, request.kernel.size()};
    check_kernel_range(request, range, "the image");
    if (start.entry < range.base || start.entry >= range.end())
        fail_kernel(request, fmt::format("the entry point {:#x} is not in the image at {:#x}-{:#x}",
                                         start.entry, range.base, range.end() - 1));
    const std::uint64_t limit = start.mode == StartMode::real ? kRealModeEnd : kFourGibibytes;
    if (start.entry >= limit)
        fail_kernel(request, fmt::format("the entry point {:#x} is not below {:#x}, as its mode "
                                         "needs",
                                         start.entry, limit));
    put_bytes(request, memory, range.base, request.kernel);
    StartState state = start.mode == StartMode::real ? real_mode_start(start.entry)
                       : start.mode == StartMode::protected_mode
                           ? protected_mode_start(request, memory, start.entry)
                           : long_mode_start(request, memory, start.entry);
    for (const auto& [name, value] : start.registers) state[name] = value;
    return state;
}

}  // namespace hvsim::devices::firmware
