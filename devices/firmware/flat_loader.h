#pragma once
// Starts a flat binary in a state that the user chose: boot sectors, teaching kernels, snippets.
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "devices/firmware/kernel_request.h"

namespace hvsim::devices::firmware {

enum class StartMode : std::uint8_t { real, protected_mode, long_mode };

struct FlatStart {
    StartMode mode = StartMode::real;
    std::uint64_t load_address = 0x7c00;
    std::uint64_t entry = 0x7c00;
    /// The others are zero.
    std::vector<std::pair<BootRegister, std::uint64_t>> registers;
};

/// "rax=0x1234" or "ax", "eax" forms of the 16 general registers; nothing for other text. Values
/// are decimal or, with 0x, hexadecimal.
std::optional<std::pair<BootRegister, std::uint64_t>> parse_register(std::string_view text);

/// Writes the file at its address, and what the mode needs: a GDT with flat code (0x10) and data
/// (0x18) segments at kLoaderGdtAddress, for long mode the first 4 GiB mapped one to one. In real
/// mode all segments but CS are 0; CS is 0 for an entry below 64 KiB, entry / 16 above. Throws
/// ConfigError when the file is empty, does not fit RAM, or the entry lies outside it or the mode.
StartState load_flat(const KernelRequest& request, const FlatStart& start,
                     GuestMemoryWriter& memory);

}  // namespace hvsim::devices::firmware
