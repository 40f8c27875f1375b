#pragma once
// AMD nested paging: EXITINFO1 of a nested page fault. Tables have the format of spec/paging.h.
// Source: AMD APM volume 2 (publication 24593), 15.25.
#include <cstdint>

namespace hvsim::mmu::npt {

// EXITINFO1 of VMEXIT_NPF (APM 2 15.25.6); EXITINFO2 holds the guest-physical address.
namespace exitinfo1 {
inline constexpr std::uint64_t kPresent = std::uint64_t{1} << 0;
inline constexpr std::uint64_t kWrite = std::uint64_t{1} << 1;
inline constexpr std::uint64_t kUser = std::uint64_t{1} << 2;
inline constexpr std::uint64_t kReserved = std::uint64_t{1} << 3;
inline constexpr std::uint64_t kInstruction = std::uint64_t{1} << 4;
inline constexpr std::uint64_t kFinalAccess = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kTableWalk = std::uint64_t{1} << 33;
}  // namespace exitinfo1

}  // namespace hvsim::mmu::npt
