# The imported targets that the rooms link; docs/dependencies.md says why each, and its licence.
include(CheckCXXSourceCompiles)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

find_package(fmt REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(pugixml REQUIRED)
find_package(doctest REQUIRED)

function(hvsim_pkg_target target package)
  pkg_check_modules(${package} REQUIRED IMPORTED_TARGET ${package})
  add_library(${target} ALIAS PkgConfig::${package})
endfunction()
hvsim_pkg_target(zstd::zstd libzstd)
hvsim_pkg_target(xxhash::xxhash libxxhash)
hvsim_pkg_target(capstone::capstone capstone)
hvsim_pkg_target(mpfr::mpfr mpfr)
hvsim_pkg_target(nettle::nettle nettle)
hvsim_pkg_target(sqlite::sqlite sqlite3)

# protozero is headers alone, without a file for CMake or pkg-config.
find_path(PROTOZERO_INCLUDE protozero/pbf_builder.hpp REQUIRED)
add_library(protozero::protozero INTERFACE IMPORTED)
target_include_directories(protozero::protozero SYSTEM INTERFACE ${PROTOZERO_INCLUDE})

# SystemC. Its library was built for one C++ standard and exports a symbol that names it; a program
# of another standard links only when SC_CPLUSPLUS is set to that one. The value is probed by
# linking because each distribution's build differs (Debian 12: 201703L).
find_library(SYSTEMC_LIBRARY systemc REQUIRED)
find_path(SYSTEMC_INCLUDE systemc REQUIRED)
if(NOT DEFINED CACHE{HVSIM_SC_CPLUSPLUS})
  set(found "")
  foreach(standard 201703L 202002L 201402L 201103L)
    try_compile(links ${CMAKE_BINARY_DIR}/probe-systemc
      SOURCES ${CMAKE_SOURCE_DIR}/cmake/probe_systemc.cpp
      COMPILE_DEFINITIONS -DSC_CPLUSPLUS=${standard}
      LINK_LIBRARIES ${SYSTEMC_LIBRARY} Threads::Threads
      CXX_STANDARD 20)
    if(links)
      set(found ${standard})
      break()
    endif()
  endforeach()
  if(NOT found)
    message(FATAL_ERROR "No value of SC_CPLUSPLUS links with ${SYSTEMC_LIBRARY}")
  endif()
  set(HVSIM_SC_CPLUSPLUS ${found} CACHE STRING "C++ standard that the SystemC library was built for")
endif()
add_library(SystemC::systemc INTERFACE IMPORTED)
target_include_directories(SystemC::systemc SYSTEM INTERFACE ${SYSTEMC_INCLUDE})
target_compile_definitions(SystemC::systemc INTERFACE
  SC_CPLUSPLUS=${HVSIM_SC_CPLUSPLUS} SC_INCLUDE_DYNAMIC_PROCESSES SC_DISABLE_API_VERSION_CHECK)
target_link_libraries(SystemC::systemc INTERFACE ${SYSTEMC_LIBRARY} Threads::Threads)

include(HvsimUnicorn)
